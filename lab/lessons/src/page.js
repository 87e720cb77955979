'use strict';
// The lessons' page: replays what was recorded, and lets the reader play the scheduler. The rules
// of a step are those of play.rs; a test holds both to the same counts.

const WORDS = {
  en: {
    language: '中文', play: 'Play', pause: 'Pause', back: 'Back', next: 'Next', moment: 'Moment',
    replay: 'Replay', last: 'last', turn: 'Your turn: who goes next?', wrong: 'Without protection',
    right: 'With protection', undo: 'Undo', again: 'Start again', go: 'next step',
    guess: (all) => `There are ${all} orders of these steps. In how many does it go wrong?`,
    check: 'Check', answer: (failing, all) => `It goes wrong in ${failing} of ${all} orders.`,
    well: 'All have ended, and nothing went wrong. Try another order.',
    never: (all) => `All have ended, and nothing went wrong, as in all ${all} orders.`,
    stuck: 'Nobody can go on.', held: (lock, who) => `${lock}: held by ${who}`, free: (lock) => `${lock}: free`,
    ready: 'ready', waits: (what) => `waits for ${what}`, sleeps: 'sleeps', ended: 'has ended',
    running: 'running', waiting: 'waiting', holding: 'holding', sleeping: 'sleeping', blocked: 'blocked',
    done: 'done', absent: 'not there yet', over: 'over', hand: (locks) => `holding ${locks}`, words: 'What the words mean',
    live: 'What was recorded here, and who is at which line', other: 'The other way, for comparison', more: (count) => `and ${count} more`,
    share: (time) => `${time} of it ready`, unknown: 'or ready, not known which',
    meanings: { running: 'it computes on a processor; the hatched share of a bar is the time that it was only ready, by the kernel’s count, and when that was is not known',
      ready: 'it could run, and has no processor: another has it',
      waiting: 'it waits for a lock, a place or a turn', holding: 'it has the lock or the place, whatever it does with it',
      sleeping: 'it sleeps for a time that it chose', blocked: 'it waits for input or output, a queue, or the end of another; with a processor it could do nothing',
      done: 'it has ended, and its parent has not asked how: a zombie' },
  },
  zh: {
    language: 'English', play: '播放', pause: '暂停', back: '后退', next: '前进', moment: '时刻',
    replay: '回放', last: '最近', turn: '轮到你了：下一步谁先走？', wrong: '没有保护', right: '有保护',
    undo: '撤销', again: '重来', go: '走一步',
    guess: (all) => `这些步骤一共有 ${all} 种先后顺序，其中几种会出错？`,
    check: '看答案', answer: (failing, all) => `${all} 种顺序里有 ${failing} 种会出错。`,
    well: '都跑完了，没有出错。换个顺序试试。',
    never: (all) => `都跑完了，没有出错：全部 ${all} 种顺序都是这样。`,
    stuck: '谁也走不下去了。', held: (lock, who) => `${lock}：${who} 拿着`, free: (lock) => `${lock}：空闲`,
    ready: '就绪态', waits: (what) => `等 ${what}`, sleeps: '睡眠', ended: '已结束',
    running: '运行态', waiting: '等待', holding: '持有', sleeping: '睡眠', blocked: '阻塞态',
    done: '僵尸', absent: '还没开始', over: '已结束', hand: (locks) => `手里拿着 ${locks}`, words: '这些词的意思',
    live: '这次录下的就是它：谁走到了哪一行', other: '另一种写法，供对照', more: (count) => `等，还有 ${count} 个`,
    share: (time) => `其中 ${time} 处于就绪态`, unknown: '也可能是就绪态，分不清',
    meanings: { running: '正在核上计算；条上画虚线的那一段，是按内核的记录只处于就绪态的时间，长短是量出来的，具体在什么时候不知道',
      ready: '什么都不缺，只缺一个核：核正被别人占着',
      waiting: '在等一把锁、一个位子，或者轮到自己', holding: '锁或者位子在它手里，不管它拿着做什么',
      sleeping: '按自己定的时间睡着', blocked: '在等输入输出、等队列，或者等别人结束：给它一个核也没用',
      done: '已经结束，父进程还没来问：僵尸进程' },
  },
};
let language = document.documentElement.lang; // That of the page, until the reader changes it.
const say = (key, ...values) => {
  const words = WORDS[language][key];
  return typeof words === 'function' ? words(...values) : words;
};
// What was recorded is English; the page has the Chinese for it.
const spoken = (recorded) => (language === 'zh' && data.words[recorded]) || recorded;
const nameOf = (lane) => (language === 'zh' ? lane.zh : lane.name);
const redraw = []; // What is drawn anew when the language changes.
const level = document.querySelector('h2') ? 3 : 2; // Of the headings below a lesson's own.

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
const button = (press) => element('button', { type: 'button', onclick: press });

// The rules.

const kind = (step) => (typeof step === 'string' ? [step] : [Object.keys(step)[0]].concat(Object.values(step)[0]));
const begin = (program) => ({
  variables: program.variables.map(([, value]) => value),
  owners: program.locks.map(() => null),
  threads: program.threads.map(() => ({ step: 0, own: 0, sleeps: false, waited: false })),
  failed: false,
});
const current = (program, now, thread) => program.threads[thread].steps[now.threads[thread].step];

// What a thread waits for: nothing, or a word.
function obstacle(program, now, thread) {
  const [name, first] = kind(current(program, now, thread)[1]);
  const locked = name === 'lock' || (name === 'wait' && now.threads[thread].waited);
  if (locked && now.owners[first] !== null) return program.locks[first];
  if (name === 'acquire' && now.variables[first] <= 0) return program.variables[first][0];
  return null;
}
const canGo = (program, now, thread) => !now.threads[thread].sleeps && current(program, now, thread) !== undefined
  && obstacle(program, now, thread) === null;

function take(program, before, thread) {
  const now = structuredClone(before), at = now.threads[thread];
  const [name, first, second] = kind(current(program, now, thread)[1]);
  at.step += 1;
  if (name === 'read') at.own = now.variables[first];
  if (name === 'compute') at.own += first;
  if (name === 'write') now.variables[first] = at.own;
  if (name === 'add') now.variables[first] += second;
  if (name === 'unless_positive' && at.own <= 0) at.step = first;
  if (name === 'if_positive' && at.own > 0) at.step = first;
  if (name === 'lock') now.owners[first] = thread;
  if (name === 'unlock') now.owners[first] = null;
  if (name === 'acquire') now.variables[first] -= 1;
  if (name === 'sleep') at.sleeps = true;
  if (name === 'wait' && at.waited) Object.assign(at, { waited: false, step: second }), now.owners[first] = thread;
  else if (name === 'wait') Object.assign(at, { waited: true, sleeps: true, step: at.step - 1 }), now.owners[first] = null;
  if (name === 'wake') for (const other of now.threads) other.sleeps = false;
  const [fault, which, bound] = kind(program.fault);
  now.failed ||= (fault === 'above' && now.variables[which] > bound) || (fault === 'below' && now.variables[which] < bound);
  return now;
}
const able = (program, now) => program.threads.map((_, thread) => thread).filter((thread) => canGo(program, now, thread));

function failsAtTheEnd(program, now) {
  const ended = program.threads.every((thread, index) => now.threads[index].step === thread.steps.length && !now.threads[index].sleeps);
  const [fault, which, bound] = kind(program.fault);
  if (fault === 'stuck') return !ended;
  return fault === 'ends_other_than' ? now.variables[which] !== bound : now.failed;
}

function orders(program, now = begin(program), known = new Map()) {
  const key = JSON.stringify(now);
  if (known.has(key)) return known.get(key);
  const next = able(program, now).map((thread) => orders(program, take(program, now, thread), known));
  const sum = next.length === 0 ? [1, Number(failsAtTheEnd(program, now))]
    : next.reduce(([all, failing], [more, worse]) => [all + more, failing + worse], [0, 0]);
  known.set(key, sum);
  return sum;
}

// A board: one program, its threads side by side.

function board(play, way) {
  const program = play[way], [all, failing] = orders(program), past = [begin(program)];
  const title = element(`h${level + 1}`), shared = element('p', { className: 'shared' });
  const outcome = element('p', { className: 'outcome' });
  outcome.setAttribute('role', 'status');
  const threads = program.threads.map((thread, index) => {
    const lines = thread.steps.map(([code]) => element('li', {}, element('code', { textContent: code })));
    const go = button(() => { past.push(take(program, past.at(-1), index)); draw(); });
    const state = element('span', { className: 'faint' });
    const box = element('div', { className: 'thread' }, go, state, element('ol', {}, ...lines));
    return { lines, go, state, box };
  });
  const undo = button(() => { past.pop(); draw(); }), again = button(() => { past.length = 1; draw(); });
  function draw() {
    const now = past.at(-1), going = able(program, now), over = going.length === 0;
    title.textContent = say(way);
    shared.textContent = program.variables.map(([name], index) => `${name} = ${now.variables[index]}`)
      .concat(program.locks.map((lock, index) => now.owners[index] === null ? say('free', lock)
        : say('held', lock, program.threads[now.owners[index]].name))).join('   ');
    threads.forEach(({ lines, go, state }, index) => {
      const at = now.threads[index];
      go.textContent = `${program.threads[index].name}: ${say('go')}`;
      go.disabled = !going.includes(index);
      state.textContent = at.step === lines.length ? say('ended') : at.sleeps ? say('sleeps')
        : go.disabled ? say('waits', obstacle(program, now, index)) : say('ready');
      lines.forEach((line, number) => line.toggleAttribute('aria-current', number === at.step));
    });
    const failed = now.failed || (over && failsAtTheEnd(program, now));
    outcome.className = failed ? 'outcome bad' : 'outcome good';
    outcome.textContent = failed ? play.happened[language] : !over ? '' : failing > 0 ? say('well') : say('never', all.toLocaleString('en'));
    undo.textContent = say('undo');
    again.textContent = say('again');
    undo.disabled = again.disabled = past.length === 1;
  }
  const box = element('div', { className: 'board', tabIndex: -1 }, title, shared,
    element('div', { className: 'threads' }, ...threads.map((thread) => thread.box)), element('p', {}, undo, ' ', again), outcome);
  box.dataset.way = way;
  box.dataset.orders = `${failing} of ${all}`;
  // The numbers choose a thread, Backspace takes a step back.
  box.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const pressed = event.key === 'Backspace' ? undo : threads[Number(event.key) - 1]?.go;
    if (pressed && !pressed.disabled) { event.preventDefault(); pressed.click(); box.focus(); }
  });
  redraw.push(draw);
  return box;
}

function playground(section, play) {
  const [all, failing] = orders(play.wrong);
  const title = element(`h${level}`), task = element('p'), question = element('label'), answer = element('p');
  const guess = element('input', { type: 'number', min: 0, max: all }), asked = element('span');
  const check = button(() => { shown = true; draw(); });
  let shown = false;
  function draw() {
    title.textContent = say('turn');
    task.textContent = play.task[language];
    asked.textContent = `${say('guess', all.toLocaleString('en'))} `;
    check.textContent = say('check');
    answer.className = !shown ? '' : Number(guess.value) === failing && guess.value !== '' ? 'good' : 'bad';
    answer.textContent = shown ? say('answer', failing.toLocaleString('en'), all.toLocaleString('en')) : '';
  }
  question.append(asked, guess);
  section.append(title, task, element('p', {}, question, ' ', check), answer,
    element('div', { className: 'boards' }, board(play, 'wrong'), board(play, 'right')));
  redraw.push(draw);
}

// What was recorded, moment by moment.

// The lines that a lane is at, from the first to before the other; the rules are those of
// recorded.rs.
function linesOf(code, lane, at) {
  if (lane.spans.length === 0 || at < lane.spans[0][3]) return null;
  const facts = lane.spans.map(([state, what, , from]) => [from, state, what]).concat(lane.marks.map(([time, label]) => [time, null, label]))
    .filter(([time]) => time <= at).sort(([one], [other]) => one - other);
  return facts.reduce((lines, [, state, what]) => {
    const rule = code.rules.find(({ from, fact }) => from[0] <= lines[0] && lines[0] < from[1] && (fact.mark !== undefined
      ? state === null && fact.mark === what : state === fact.is[0] && (fact.is[1] ?? what) === what));
    return rule === undefined ? lines : rule.to;
  }, [0, 1]);
}

// The wrong and the right program side by side; in the one that was recorded, who is at which line.
function listing({ lesson, recorded }, lanes) {
  const most = 6, drawn = [];
  const boards = ['wrong', 'right'].map((way) => {
    const live = recorded.is_right === (way === 'right'), { threads } = data.plays[lesson][way];
    const title = element(`h${level + 1}`), note = element('p', { className: 'faint' });
    const lists = live ? recorded.codes.map((code) => {
      const lines = code.threads.flatMap((thread) => threads[thread].steps.map(([text]) => {
        const who = element('span', { className: 'faint' });
        return { who, line: element('li', {}, element('code', { textContent: text }), who) };
      }));
      drawn.push((at) => {
        const places = lanes.filter((lane) => lane.name.startsWith(code.lanes)).map((lane) => [lane, linesOf(code, lane, at)]);
        lines.forEach(({ line, who }, number) => {
          const here = places.filter(([, place]) => place !== null && place[0] <= number && number < place[1]).map(([lane]) => lane);
          line.toggleAttribute('aria-current', here.length > 0);
          who.textContent = here.slice(0, most).map(nameOf).join(', ') + (here.length > most ? ` ${say('more', here.length - most)}` : '');
          line.dataset.who = here.map((lane) => lane.name).join();
        });
      });
      return lines.map(({ line }) => line);
    }) : [...new Map(threads.map(({ steps }) => [JSON.stringify(steps), steps])).values()]
      .map((steps) => steps.map(([text]) => element('li', {}, element('code', { textContent: text }))));
    const box = element('div', { className: live ? 'board live' : 'board' }, title, note,
      element('div', { className: 'threads' }, ...lists.map((lines) => element('div', { className: 'thread' }, element('ol', {}, ...lines)))));
    drawn.push(() => { title.textContent = say(way); note.textContent = say(live ? 'live' : 'other'); });
    return box;
  });
  return { box: element('div', { className: 'boards code' }, ...boards), draw: (at) => drawn.forEach((draw) => draw(at)) };
}

function replay(box, lanes, code) {
  const svg = box.parentElement.querySelector('svg'), { left, width, length, bottom } = box.dataset;
  const times = [...new Set(lanes.flatMap((lane) => [...lane.spans.flatMap(([, , , from, to]) => [from, to]), ...lane.marks.map(([at]) => at)]))]
    .sort((one, other) => one - other);
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  line.setAttribute('class', 'now');
  line.setAttribute('y2', bottom);
  let at = 0, timer = null;
  const slider = element('input', { type: 'range', min: 0, max: 1000, value: 0, oninput: () => go(slider.value / 1000 * length) });
  const play = button(() => { timer === null ? start() : stop(); });
  const back = button(() => go(times.findLast((time) => time < at) ?? 0));
  const next = button(() => go(times.find((time) => time > at) ?? Number(length)));
  const clock = element('output'), list = element('ul', { className: 'now' });
  const details = element('details', {}, element('summary'), element('p', {}, play, ' ', back, ' ', next, ' ', slider, ' ', clock), list);
  const shown = code && listing(code, lanes);
  if (shown) details.append(shown.box);
  function start() {
    if (at >= length) at = 0;
    timer = setInterval(() => { go(at + length / 200); if (at >= length) stop(); }, 50);
    draw();
  }
  function stop() { clearInterval(timer); timer = null; draw(); }
  function go(time) { at = Math.min(Math.max(time, 0), Number(length)); slider.value = at / length * 1000; draw(); }
  function draw() {
    details.firstChild.textContent = say('replay');
    play.textContent = say(timer === null ? 'play' : 'pause');
    back.textContent = say('back');
    next.textContent = say('next');
    slider.setAttribute('aria-label', say('moment'));
    clock.textContent = `${(at / 1e6).toFixed(2)} ms`;
    if (shown) shown.draw(at);
    const x = Number(left) + at / length * width;
    for (const end of ['x1', 'x2']) line.setAttribute(end, x);
    list.replaceChildren(...lanes.map((lane) => {
      const span = lane.spans.find(([, , , from, to]) => from <= at && at < to), mark = lane.marks.findLast(([time]) => time <= at);
      const before = lane.spans.length === 0 || at < lane.spans[0][3];
      const [state, what, holds, , , ready, unknown] = span ?? [before ? 'absent' : 'over', '', []];
      const words = [say(state), unknown && `(${say('unknown')})`, ready > 0 && `(${say('share', `${(ready / 1e6).toFixed(2)} ms`)})`, what && `(${spoken(what)})`, holds.length > 0 && state !== 'holding' && say('hand', holds.join(', ')),
        holds.length > 0 && state === 'holding' && holds.join(', '), mark && `${say('last')}: ${spoken(mark[1])} ${mark[2]}`.trim()];
      return element('li', {}, element('b', { textContent: nameOf(lane) }), ` ${words.filter(Boolean).join(' ')}`);
    }));
  }
  details.addEventListener('toggle', () => { details.open ? svg.append(line) : (line.remove(), stop()); });
  box.append(details);
  redraw.push(draw);
}

const data = JSON.parse(document.getElementById('data').textContent);
document.querySelectorAll('.replay').forEach((box, index) => replay(box, data.lanes[index], data.codes[index]));
document.querySelectorAll('.play').forEach((section) => playground(section, data.plays[section.dataset.lesson]));
function glossary() {
  const details = element('details', { id: 'glossary' }, element('summary'), element('dl'));
  redraw.push(() => {
    details.firstChild.textContent = say('words');
    details.lastChild.replaceChildren(...Object.entries(WORDS[language].meanings)
      .flatMap(([state, meaning]) => [element('dt', { textContent: say(state) }), element('dd', { textContent: meaning })]));
  });
  document.querySelector('main').append(details);
}
glossary();
const choose = button(() => { language = language === 'en' ? 'zh' : 'en'; change(); });
choose.id = 'language';
document.querySelector('main').prepend(choose);
function change() {
  choose.textContent = say('language');
  choose.lang = language === 'en' ? 'zh' : 'en';
  for (const box of document.querySelectorAll('.play, .replay, #glossary')) box.lang = language;
  redraw.forEach((draw) => draw());
}
change();
