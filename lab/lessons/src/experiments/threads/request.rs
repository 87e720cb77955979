//! A request, and slow work that nobody needs for the answer: a web page is sent, and a log is still
//! written.
//!
//! Who answers does the work itself, or starts a thread or a process for it and returns. What a
//! function has started goes on when the function has returned.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::kin::{Kin, Word};
use super::{Fact, Scene, Threads};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::trace::{Lane, Recorder, State, Trace};
use crate::verdict::Figure;

/// No answer is waited for any longer.
const PATIENCE: Duration = Duration::from_secs(20);

const REQUEST: &[u8] = b"GET /page\r\n";
const PAGE: &[u8] = b"the page\r\n";

/// What the marks are called.
const ASKS: &str = "asks";
const HAS: &str = "has the page";
pub(super) const WRITTEN: &str = "log written";

/// Who does the slow work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Writer {
    Itself,
    Thread,
    Process,
}

/// Serves one request whose slow work takes `delay`.
pub(super) fn request(writer: Writer, delay: Duration) -> Result<Scene> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let address = listener.local_addr().context("cannot ask for an address")?;
    // The kernel's queue takes it before it is accepted: nobody waits for who does not come.
    let browser = TcpStream::connect(address).context("cannot connect")?;
    let (stream, _) = listener.accept().context("cannot accept")?;
    for socket in [&browser, &stream] {
        socket.set_read_timeout(Some(PATIENCE)).context("cannot limit a wait")?;
    }
    let client = thread::Builder::new().name("client".to_owned()).spawn(move || ask(browser));
    let client = client.context("cannot start a thread")?;
    let mut server = Recorder::thread("server");
    let mut started = Started { cast: Cast::new(Threads::NAME), lane: None };
    answer(stream, &mut server, &mut started, writer, delay)?;
    server.enter_with(State::Blocked, "the next request");
    let client = client.join().map_err(|_| anyhow!("the client panicked"))??;
    let mut lanes = vec![client];
    let written = started.wait()?;
    lanes.push(server.end());
    lanes.extend(written);
    let at_ns = |label| {
        let marks = lanes.iter().flat_map(|lane| &lane.marks).find(|mark| mark.label == label);
        marks.map(|mark| mark.at_ns).with_context(|| format!("nobody has said: {label}"))
    };
    let (asked_ns, got_ns, written_ns) = (at_ns(ASKS)?, at_ns(HAS)?, at_ns(WRITTEN)?);
    let took_ns = got_ns - asked_ns;
    let is_written_before = written_ns < got_ns;
    let holds = match writer {
        Writer::Itself => is_written_before && u128::from(took_ns) >= delay.as_nanos(),
        Writer::Thread | Writer::Process => got_ns < written_ns,
    };
    let claim = Fact::Request { writer, took_ns, is_written_before }.claim(holds);
    let figures = vec![("page after", Figure::Time(took_ns))];
    Ok(Scene { trace: Trace::new(lanes), figures, claim })
}

fn ask(mut browser: TcpStream) -> Result<Lane> {
    let mut me = Recorder::thread("client");
    me.mark(ASKS);
    me.enter_with(State::Blocked, "waits for the page");
    browser.write_all(REQUEST).context("cannot ask")?;
    let mut page = Vec::new();
    browser.read_to_end(&mut page).context("no page comes")?;
    me.enter(State::Running);
    me.mark(HAS);
    ensure!(page == PAGE, "another page has come");
    Ok(me.end())
}

/// What goes on when [`answer`] has returned.
struct Started {
    cast: Cast,
    lane: Option<mpsc::Receiver<Lane>>,
}

/// The course's view function: has the log written, answers, and returns.
fn answer(
    mut stream: TcpStream,
    me: &mut Recorder,
    started: &mut Started,
    writer: Writer,
    delay: Duration,
) -> Result<()> {
    me.enter_with(State::Blocked, "a request");
    let mut request = [0; REQUEST.len()];
    stream.read_exact(&mut request).context("no request comes")?;
    me.enter_with(State::Running, "view");
    match writer {
        Writer::Itself => {
            me.enter_with(State::Sleeping, "writes the log");
            thread::sleep(delay);
            me.mark(WRITTEN);
            me.enter_with(State::Running, "view");
        }
        Writer::Thread => {
            let (ends, has_ended) = mpsc::channel();
            let work = move || {
                let mut me = Recorder::thread("its thread");
                me.enter_with(State::Sleeping, "writes the log");
                thread::sleep(delay);
                me.mark(WRITTEN);
                let _ = ends.send(me.end());
            };
            let thread = thread::Builder::new().name("log".to_owned()).spawn(work);
            // Its handle goes with this function: nobody joins it.
            drop(thread.context("cannot start a thread")?);
            started.lane = Some(has_ended);
        }
        Writer::Process => {
            started.cast.start("its process", &Kin::Writer { delay })?;
        }
    }
    stream.write_all(PAGE).context("cannot answer")?;
    stream.shutdown(Shutdown::Write).context("cannot end the answer")?;
    me.mark("returns");
    Ok(())
}

impl Started {
    /// The lanes of what was started, when it is over.
    fn wait(mut self) -> Result<Vec<Lane>> {
        if !self.cast.is_empty() {
            let Heard::End(_) = self.cast.listen::<Word>()? else { bail!("a process has more to say") };
        }
        let lane = self.lane.map(|lane| lane.recv_timeout(PATIENCE).context("the log is not written"));
        let (lanes, statuses) = self.cast.join()?;
        ensure!(statuses.iter().all(|status| status.success()), "the log is not written");
        Ok(lane.transpose()?.into_iter().chain(lanes).collect())
    }
}
