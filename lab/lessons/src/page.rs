//! Lessons as a page: what was expected and what came of it, the pictures, the figures, and why.

use std::fmt::Write as _;

use harness::lang::Lang;
use harness::page::{escape, page, scroll};
use serde_json::{Map, Value, json};

use super::Lesson;
use super::key::Key;
use super::picture::{self, STYLE, WIDTH};
use super::play::programs;
use super::texts::Texts;
use super::trace::Trace;
use super::verdict::{Drawing, Variant, rows};

/// What the reader can do: see the recording moment by moment, and play the scheduler.
const SCRIPT: &str = include_str!("page.js");

/// How the verdict looks.
const PAGE_STYLE: &str = "\
.claims{list-style:none;padding:0;max-width:56rem}.claims li{padding-left:1.6rem;text-indent:-1.6rem;margin:.3rem 0}\
.claims b{display:inline-block;width:1.6rem;text-indent:0}\
button{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--faint);border-radius:6px;padding:.3rem .7rem;cursor:pointer}\
button:disabled{color:var(--faint);cursor:default;border-style:dashed}#language{float:right}\
.boards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}\
.board{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.3rem 1rem}\
.threads{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,12rem),1fr));gap:1rem}\
.thread ol{padding-left:1.6rem}.thread li{padding:.1rem .3rem;border-left:4px solid transparent;white-space:pre-wrap}\
.thread code{font-size:.85rem}.thread li[aria-current]{border-color:var(--blue);font-weight:600}.thread span{display:block;font-weight:400}\
.shared{font-variant-numeric:tabular-nums;white-space:pre-wrap;min-height:1.5em}.outcome{min-height:1.5em;font-weight:600}\
input{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--faint);border-radius:6px;max-width:100%}\
input[type=number]{width:7rem;padding:.2rem .4rem}input[type=range]{vertical-align:middle;width:14rem}\
ul.now{columns:2 18rem;list-style:none;padding:0;max-width:none}line.now{stroke:var(--red);stroke-width:2}\
@media print{.play,.replay,#language{display:none}}";

/// The page of these lessons.
pub fn html(lessons: &[Lesson], lang: Lang) -> String {
    let texts = Texts::of(lang);
    let title = match lessons {
        [one] => heading(one, lang),
        _ => texts.page.title.to_owned(),
    };
    let mut body = format!("<style>{STYLE}{PAGE_STYLE}</style>\n");
    if lessons.len() > 1 {
        contents(&mut body, lessons, lang);
    }
    for lesson in lessons {
        if lessons.len() > 1 {
            let (name, heading) = (escape(lesson.entry.name), escape(&heading(lesson, lang)));
            let _ = writeln!(body, "<h2 id=\"{name}\">{heading}</h2>");
        }
        section(&mut body, lesson, lang);
    }
    script(&mut body, lessons);
    if cfg!(debug_assertions) {
        let _ = writeln!(body, "<p class=\"faint\">{}</p>", texts.page.debug_build);
    }
    page(lang, &title, &body)
}

fn heading(lesson: &Lesson, lang: Lang) -> String {
    (Texts::of(lang).frame.titled)(lesson.entry.name, lesson.entry.question(lang))
}

fn contents(body: &mut String, lessons: &[Lesson], lang: Lang) {
    let _ = writeln!(body, "<nav aria-label=\"{}\"><ol>", Texts::of(lang).page.contents);
    for lesson in lessons {
        let name = escape(lesson.entry.name);
        let link = format!("<a href=\"#{name}\">{name}</a>");
        let question = escape(lesson.entry.question(lang));
        let _ = writeln!(body, "<li>{}</li>", (Texts::of(lang).frame.titled)(&link, &question));
    }
    body.push_str("</ol></nav>\n");
}

/// What was expected, a line each, with what came of it.
fn claims(body: &mut String, lesson: &Lesson, lang: Lang) {
    let frame = &Texts::of(lang).frame;
    body.push_str("<ul class=\"claims\">\n");
    for claim in &lesson.outcome.claims {
        let (class, sign, word) = if claim.holds {
            ("good", "✓", frame.as_expected)
        } else {
            ("bad", "✗", frame.not_as_expected)
        };
        let words = claim.words.get(lang);
        let observed = format!("<span class=\"faint\">{}</span>", escape(&words.observed));
        let said = (frame.claim)(&escape(&words.expected), &observed);
        let _ = writeln!(
            body,
            "<li><b class=\"{class}\" role=\"img\" aria-label=\"{word}\">{sign}</b>{said}</li>"
        );
    }
    body.push_str("</ul>\n");
}

fn section(body: &mut String, lesson: &Lesson, lang: Lang) {
    let texts = Texts::of(lang);
    claims(body, lesson, lang);
    let key = Key::of(lesson.outcome.variants.iter().map(|variant| &variant.trace));
    for variant in &lesson.outcome.variants {
        figure(body, variant, &key, lang);
    }
    for drawing in lesson.outcome.drawings.get(lang) {
        drawn(body, drawing);
    }
    let (names, rows) = rows(&lesson.outcome.variants, texts);
    if !names.is_empty() {
        let _ = write!(body, "<figure>{}<table><thead><tr>", scroll(texts.page.figures));
        for name in [texts.frame.variant.into()].into_iter().chain(names) {
            let _ = write!(body, "<th>{}</th>", escape(&name));
        }
        body.push_str("</tr></thead><tbody>\n");
        for (variant, row) in lesson.outcome.variants.iter().zip(rows) {
            let _ = write!(body, "<tr><td>{}</td>", escape(&variant.name));
            for cell in row {
                let _ = write!(body, "<td>{}</td>", escape(&cell));
            }
            body.push_str("</tr>\n");
        }
        body.push_str("</tbody></table></div></figure>\n");
    }
    let _ = writeln!(body, "<p>{}</p>", escape(&lesson.verdict(lang).why));
    if programs::of(lesson.entry.name).is_some() {
        let _ = writeln!(body, "<section class=\"play\" data-lesson=\"{}\"></section>", lesson.entry.name);
    }
}

fn figure(body: &mut String, variant: &Variant, key: &Key<'_>, lang: Lang) {
    let texts = Texts::of(lang);
    let (name, about) = (escape(&variant.name), escape(variant.about.get(lang)));
    let (label, caption) =
        ((texts.frame.titled)(&name, &about), (texts.frame.titled)(&format!("<b>{name}</b>"), &about));
    let height = picture::height(&variant.trace, key, texts);
    let _ = writeln!(
        body,
        "<figure><figcaption>{caption}</figcaption>\n{}\
         <svg class=\"l\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" style=\"width:100%;min-width:44rem;height:auto\" role=\"img\" \
         aria-label=\"{label}\">",
        scroll(&variant.name)
    );
    picture::lanes(body, &variant.trace, key, texts);
    let (left, width) = picture::PLACE;
    let _ = writeln!(
        body,
        "</svg></div><div class=\"replay\" data-left=\"{left}\" data-width=\"{width}\" data-length=\"{}\" \
         data-bottom=\"{}\"></div></figure>",
        key.length_ns,
        picture::bottom(&variant.trace)
    );
}

/// What the script works with, and the script.
fn script(body: &mut String, lessons: &[Lesson]) {
    let traces = lessons.iter().flat_map(|lesson| &lesson.outcome.variants).map(|variant| &variant.trace);
    let words: Map<String, Value> = traces.clone().flat_map(words).collect();
    let lanes: Vec<Value> = traces.map(recorded).collect();
    let codes: Vec<Value> = lessons.iter().flat_map(codes).collect();
    let plays = lessons.iter().map(|lesson| lesson.entry.name);
    let plays: Map<String, Value> =
        plays.filter_map(|name| Some((name.to_owned(), json!(programs::of(name)?)))).collect();
    // In a script element a `<` could end it.
    let data = json!({ "lanes": lanes, "words": words, "codes": codes, "plays": plays });
    let data = data.to_string().replace('<', "\\u003c");
    let _ = writeln!(
        body,
        "<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>"
    );
}

/// For each variant what its lanes do, if that is a program that can be played.
fn codes(lesson: &Lesson) -> Vec<Value> {
    let recorded = programs::of(lesson.entry.name).map_or_else(Vec::new, |play| play.recorded);
    let code = |variant: &Variant| {
        let its = recorded.iter().find(|its| its.variant == variant.name);
        its.map_or(Value::Null, |its| json!({ "lesson": lesson.entry.name, "recorded": its }))
    };
    lesson.outcome.variants.iter().map(code).collect()
}

/// What was recorded, in Chinese: the script shows it in the language that the reader has chosen.
fn words(trace: &Trace) -> impl Iterator<Item = (String, Value)> {
    let spans = trace.lanes.iter().flat_map(|lane| &lane.spans).map(|span| &span.what);
    let labels = trace.lanes.iter().flat_map(|lane| &lane.marks).map(|mark| &mark.label);
    spans.chain(labels).map(|word| (word.to_string(), Texts::of(Lang::Zh).shown(word).into()))
}

/// The lanes of a picture, with times from its beginning.
fn recorded(trace: &Trace) -> Value {
    let begin_ns = trace.bounds_ns().0;
    let lanes = trace.lanes.iter().map(|lane| {
        let spans = lane.spans.iter().map(|span| {
            let (from_ns, to_ns) = (span.begin_ns - begin_ns, span.end_ns - begin_ns);
            json!([span.state, span.what, span.holds, from_ns, to_ns, span.ready_ns, span.may_be_ready()])
        });
        let marks = lane.marks.iter().map(|mark| json!([mark.at_ns - begin_ns, mark.label, mark.value]));
        let (spans, marks): (Vec<_>, Vec<_>) = (spans.collect(), marks.collect());
        json!({ "name": lane.name, "zh": Texts::of(Lang::Zh).name(lane), "spans": spans, "marks": marks })
    });
    lanes.collect()
}

fn drawn(body: &mut String, drawing: &Drawing) {
    let _ = writeln!(
        body,
        "<figure><figcaption>{}</figcaption>\n{}",
        escape(&drawing.title),
        scroll(&drawing.title)
    );
    match &drawing.svg {
        Some((svg, _)) => body.push_str(svg),
        None => {
            let _ = write!(body, "<pre>{}</pre>", escape(&drawing.text));
        }
    }
    body.push_str("</div></figure>\n");
}
