//! The report, as a browser shows it: whole, without network and errors, on narrow and on wide
//! screens.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use compare::change::Change;
use compare::document::Document;
use compare::html;
use compare::metric::Metric;
use serde_json::Value;
use tempfile::TempDir;

use crate::browser::{self, answer_of, dom, output};
use crate::harness::LAB;

/// Every kind of chart: over connections, over the load, as bars, and percentiles.
const SHORT: [&str; 7] = [
    "compare",
    "--models=iterative,thread,mio",
    "--scenarios=requests,churn,idle,paced,cpu",
    "--connections=2,6",
    "--duration=150ms",
    "--warm-up=10ms",
    "--rounds=2",
];

/// What a browser is asked to find out in the page. It stands at the end of a copy of the report,
/// in a frame; the answers come back in the title of the page around it.
const QUESTIONS: &str = r#"<script>
addEventListener('load', () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const shown = element => getComputedStyle(element).display !== 'none';
  for (const details of all('details')) details.open = true;
  const point = all('.chart .p')[3], tip = document.getElementById('tip');
  point.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
  const readout = tip.hidden ? null : tip.textContent;
  const box = tip.getBoundingClientRect();
  document.body.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
  const before = all('.chart .s1').filter(shown).length;
  document.getElementById('t1').click();
  const after = all('.chart .s1').filter(shown).length, others = all('.chart .s2').filter(shown).length;
  document.getElementById('t1').click();
  const again = all('.chart .s1').filter(shown).length;
  const drawn = all('figure.chart').filter(chart => {
    const size = chart.querySelector('svg').getBoundingClientRect();
    return size.width > 100 && size.height > 50 && chart.querySelectorAll('.p').length > 0;
  });
  const named = all('.chart svg').every(svg => (svg.getAttribute('aria-label') || '').includes(': '));
  parent.document.title = JSON.stringify({
    faults: window.faults, requests: performance.getEntriesByType('resource').length,
    charts: all('figure.chart').length, drawn: drawn.length, named,
    readout, expected: point.dataset.tip, hiddenAgain: tip.hidden,
    tipIsInside: box.left >= 0 && box.right <= innerWidth,
    before, after, others, again,
    broken: all('.chart [points*=NaN], .chart [d*=NaN], .chart [x*=NaN], .chart [width*=NaN]').length,
    width: innerWidth, content: document.documentElement.scrollWidth,
  });
});
</script>"#;

/// Stands before everything else: errors are noted, and whatever would leave the page is refused
/// and noted too.
const WATCH: &str = r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<script>window.faults = [];
addEventListener('error', event => faults.push(String(event.message)));
addEventListener('securitypolicyviolation', event => faults.push('request: ' + event.blockedURI));
for (const level of ['error', 'warn']) console[level] = (...words) => faults.push(words.join(' '));
</script>"#;

/// A short comparison: its folder, with `results.json` and `report.html` in it.
fn measured(more: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lab = Command::new(LAB);
    lab.args(SHORT).args(more);
    lab.arg("--json").arg(folder.path().join("results.json"));
    lab.arg("--report").arg(folder.path().join("report.html"));
    let (ok, stdout) = output(&mut lab, folder.path());
    assert!(ok, "{stdout}");
    folder
}

/// The same for all that only look: a copy of it in a folder of their own.
fn measured_once() -> TempDir {
    static FILES: LazyLock<[(&str, Vec<u8>); 2]> = LazyLock::new(|| {
        let folder = measured(&[]);
        ["results.json", "report.html"].map(|name| (name, fs::read(folder.path().join(name)).unwrap()))
    });
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &*FILES {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// What the browser finds in the report on a screen of that width.
fn seen(browser: &Path, folder: &Path, width: u32) -> Value {
    let report = fs::read_to_string(folder.join("report.html")).unwrap();
    let watched = report.replacen("<head>", &format!("<head>{WATCH}"), 1);
    let asked = watched.replacen("</body>", &format!("{QUESTIONS}</body>"), 1);
    answer_of(browser, folder, &asked, width)
}

/// How many charts there must be: each quantity that anybody has a value of, and each point's
/// distribution.
fn expected_charts(document: &Document) -> usize {
    let mut count = 0;
    for scenario in document.scenarios() {
        let points = document.points_of(scenario);
        let has = |metric: Metric| {
            points.iter().flat_map(|point| &point.servers).any(|server| metric.of(server).is_some())
        };
        count += scenario.profile().metrics.iter().filter(|metric| has(**metric)).count();
        let asked = |server: &compare::document::Server| {
            server.figures.as_ref().is_some_and(|figures| figures.samples > 0)
        };
        count += points.iter().filter(|point| point.servers.iter().any(asked)).count();
    }
    count
}

#[test]
fn a_browser_shows_every_chart_without_network_or_error_on_narrow_and_wide_screens() {
    let Some(browser) = browser::browser() else {
        let _ = writeln!(std::io::stderr(), "skipped: chromium is not installed");
        return;
    };
    let folder = measured_once();
    let document = Document::read(&folder.path().join("results.json")).unwrap();
    let charts = expected_charts(&document);
    assert!(charts > 20, "{charts}");
    for width in [390, 1280] {
        let seen = seen(&browser, folder.path(), width);
        assert_eq!(seen["faults"], Value::Array(Vec::new()), "{seen}");
        assert_eq!(seen["requests"], 0, "{seen}");
        assert_eq!(
            (seen["charts"].as_u64(), seen["drawn"].as_u64()),
            (Some(charts as u64), Some(charts as u64))
        );
        assert_eq!((&seen["named"], &seen["broken"]), (&Value::Bool(true), &Value::from(0)), "{seen}");
        assert_eq!(seen["width"], width, "{seen}");
        assert!(seen["content"].as_u64() <= seen["width"].as_u64(), "wider than the screen: {seen}");
        // Hover: the readout says what the point's title said, within the screen, and goes again.
        assert!(seen["readout"].as_str().is_some_and(|text| text.contains(": ")), "{seen}");
        assert_eq!(seen["readout"], seen["expected"]);
        assert_eq!(
            (&seen["tipIsInside"], &seen["hiddenAgain"]),
            (&Value::Bool(true), &Value::Bool(true)),
            "{seen}"
        );
        // Legend: one server goes and comes back, the others stay.
        assert!(seen["before"].as_u64() > Some(10) && seen["others"].as_u64() > Some(10), "{seen}");
        assert_eq!((&seen["after"], &seen["again"]), (&Value::from(0), &seen["before"]), "{seen}");
    }

    // The same questions, where the answers must be bad: an image from elsewhere, a script that
    // fails, something too wide.
    let report = folder.path().join("report.html");
    let faulty =
        "<img src='http://127.0.0.1:9/x.png'><script>missing()</script><p style='width:2000px'>x</p></body>";
    fs::write(&report, fs::read_to_string(&report).unwrap().replace("</body>", faulty)).unwrap();
    let seen = seen(&browser, folder.path(), 390);
    assert_eq!(seen["faults"].as_array().map(Vec::len), Some(2), "{seen}");
    assert!(seen["content"].as_u64() > seen["width"].as_u64(), "{seen}");
}

#[test]
fn the_report_is_drawn_again_from_the_json_alone_and_refers_to_nothing_outside() {
    let folder = measured_once();
    let (report, json) = (folder.path().join("report.html"), folder.path().join("results.json"));
    let first = fs::read_to_string(&report).unwrap();
    for reference in ["http:", "https:", "url(", "src=", "@import", "<link"] {
        assert!(!first.contains(reference), "{reference}");
    }
    let again = folder.path().join("again.html");
    let mut lab = Command::new(LAB);
    lab.arg("report").arg(&json).arg("--report").arg(&again);
    assert!(output(&mut lab, folder.path()).0);
    assert_eq!(first, fs::read_to_string(again).unwrap());
    let document = Document::read(&json).unwrap();
    assert_eq!(first, html::html(&document));
    // Whatever is not measured cannot be said: every finding speaks of servers that are there.
    assert!(!document.findings.is_empty());
    for finding in &document.findings {
        let said = compare::words::say(&finding.claim);
        assert!(document.ids().iter().any(|id| said.contains(id)) || said.contains(" all "), "{said}");
        assert!(!said.contains("NaN") && !said.contains("inf"), "{}", said);
    }
}

#[test]
fn a_name_with_markup_is_shown_and_not_obeyed() {
    let server = format!("<b>bold</b>={LAB} serve mio --listen 127.0.0.1:{{port}}");
    let folder = measured(&["--server", &server]);
    let report = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(report.contains("&lt;b&gt;bold&lt;/b&gt;") && !report.contains("<b>"));
}

#[test]
fn an_earlier_run_is_a_baseline_and_the_same_run_differs_from_itself_in_nothing() {
    let folder = measured_once();
    let json = folder.path().join("results.json");
    let document = Document::read(&json).unwrap();
    let same = compare::baseline::compare(&json, &document, &document);
    assert!(same.doubts.is_empty(), "{:?}", same.doubts);
    assert!(same.changes.len() > 30);
    let told = same.changes.iter().filter(|change| {
        use compare::change::Judgement::{Better, Worse};
        matches!(change.judgement, Better | Worse) || change.change != 0.0
    });
    assert_eq!(told.count(), 0);

    let later = measured(&["--baseline", json.to_str().unwrap()]);
    let later = Document::read(&later.path().join("results.json")).unwrap();
    // All that had the same load: in an open loop the rate is what the slowest server sustained.
    let compared = later.baseline.unwrap().changes;
    let closed =
        |changes: &[Change]| changes.iter().filter(|change| !change.point.starts_with("paced")).count();
    assert_eq!(closed(&compared), closed(&same.changes));
}

#[test]
fn a_file_that_is_no_result_is_refused_with_code_2_and_a_word_about_it() {
    let folder = tempfile::tempdir().unwrap();
    for (content, word) in [
        ("hello", "is no file of"),
        ("{}", "no version"),
        (r#"{"version":1}"#, "version 1"),
        (r#"{"version":2}"#, "version 2"),
        (r#"{"version":3}"#, "damaged"),
    ] {
        let path = folder.path().join("results.json");
        fs::write(&path, content).unwrap();
        let lab = Command::new(LAB).arg("report").arg(&path).output().unwrap();
        let stderr = String::from_utf8(lab.stderr).unwrap();
        assert_eq!(lab.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(word) && stderr.lines().count() == 1, "{stderr}");
    }
}

/// Where `.ci/run` puts the accessibility audit (axe-core, from npm).
const AUDIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/package/axe.min.js");

/// Audits a page, light and dark; what it finds is the title of the page that comes back.
const FINDINGS: &str = "<script>axe.run().then(found => {
  document.title = JSON.stringify(found.violations.map(it => [it.id, it.nodes[0].html, it.nodes[0].failureSummary]));
});</script>";

/// Two intervals of a load, one with errors.
const SERIES: &str = r#"{"unix_seconds":100,"length_seconds":1,"answered":7,"p50_ns":10,"p99_ns":70,"open_connections":5,"in_flight":2,"refused":0,"reset":0,"closed_early":0,"timed_out":0,"wrong_bytes":0,"no_port":0,"no_descriptor":0,"other":0}
{"unix_seconds":101,"length_seconds":1,"answered":0,"p50_ns":null,"p99_ns":null,"open_connections":0,"in_flight":0,"refused":3,"reset":0,"closed_early":22,"timed_out":0,"wrong_bytes":0,"no_port":0,"no_descriptor":0,"other":0}
"#;

#[test]
fn the_pages_pass_an_accessibility_audit() {
    let (Some(browser), Ok(audit)) = (browser::browser(), fs::read_to_string(AUDIT)) else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: it needs chromium, and axe-core in target/axe (npm pack axe-core, unpacked)"
        );
        return;
    };
    let folder = measured_once();
    let lesson = folder.path().join("lesson.html");
    let mut lab = Command::new(LAB);
    lab.args(["run", "deadlock", "--report"]).arg(&lesson);
    assert!(output(&mut lab, folder.path()).0);
    let (rows, series) = (folder.path().join("series"), folder.path().join("series.html"));
    fs::write(&rows, SERIES).unwrap();
    let mut lab = Command::new(LAB);
    lab.arg("series").arg(rows).arg("--output").arg(&series);
    assert!(output(&mut lab, folder.path()).0);
    for page in [folder.path().join("report.html"), lesson, series] {
        let text = fs::read_to_string(&page).unwrap();
        let audit = format!("<script>{}</script>{FINDINGS}</body>", audit.replace("</script", "<\\/script"));
        let audited = folder.path().join("audited.html");
        fs::write(&audited, text.replacen("</body>", &audit, 1)).unwrap();
        for scheme in ["0", "1"] {
            let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
            let dom = dom(&browser, folder.path(), &audited, &["--virtual-time-budget=20000", &scheme]);
            let title = dom.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
            assert_eq!(title, "[]", "{} {scheme}", page.display());
        }
    }
}
