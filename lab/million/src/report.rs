//! What people read: the plan before, the figures afterwards.

use std::fmt::Write;

use client::hold::Step;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use harness::models::Model;
use harness::text::{GAP, STYLE};
use harness::units::{counted, grouped, rate, signed_bytes, time};

use super::document::{Document, Workers};
use super::layout::Layout;
use super::plan::{MOST, Plan};
use super::weigh::Growth;

/// Inodes that belong to no socket, for each conversation, beyond which they are told.
const MANY_INODES: f64 = 0.1;

/// The column of what would have to be set, which is the only one with words.
const REMEDY: usize = 4;

/// The plan. `width` is that of the terminal, in columns; `None` where there is none.
pub fn plan(plan: &Plan, model: Model, width: Option<u16>) -> String {
    let Layout { connections, server_processes, client_processes, sources_per_client, .. } = plan.layout;
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["resource", "needed", "there is", "fits", "for more"]);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for row in &plan.rows {
        let fits = if row.fits >= MOST { format!("over {}", grouped(MOST - 1)) } else { grouped(row.fits) };
        let [needed, there] = [row.needed, row.there].map(|count| row.resource.amount(count));
        table.add_row([row.resource.name().to_owned(), needed, there, fits, row.remedy.clone()]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == REMEDY { 0 } else { GAP }));
        if (1..REMEDY).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut lines: Vec<_> = table.to_string().lines().map(str::trim_end).map(str::to_owned).collect();
    let server = format!("{}, {}", model.name(), counted(server_processes, "process"));
    lines.insert(0, format!("{} connections", grouped(connections)));
    lines.insert(1, format!("  server   {server}"));
    lines.insert(
        2,
        format!(
            "  clients  {}, each with {}",
            counted(client_processes, "process"),
            counted(sources_per_client, "source address")
        ),
    );
    lines.insert(3, String::new());
    lines.join("\n") + "\n\n"
}

/// What was found, as far as it came.
pub fn text(document: &Document) -> String {
    let mut text = String::new();
    let steps =
        [(Step::Open, &document.opened), (Step::Ask, &document.asked), (Step::Close, &document.closed)];
    for (step, result) in steps {
        text += &result.as_ref().map_or_else(String::new, |result| result.text(step));
        if step == Step::Open {
            document.growth.iter().for_each(|growth| show_growth(&mut text, growth));
            document.workers.iter().for_each(|workers| show_workers(&mut text, workers));
        }
    }
    if let Some(status) = &document.status {
        let counts = status.split_once("status: ").map_or(status.as_str(), |(_, counts)| counts);
        let _ = writeln!(text, "server   {counts}");
    }
    for failure in &document.failures {
        let _ = writeln!(text, "failed   {failure}");
    }
    let _ = writeln!(text, "in all   {}", time(document.took_s * 1e9));
    text
}

fn show_growth(text: &mut String, growth: &Growth) {
    let rows = [
        ("server's processes (PSS)", growth.server_pss_bytes, None),
        ("client processes (PSS)", growth.clients_pss_bytes, None),
        ("kernel, both ends of it", growth.kernel_bytes, Some(growth.kernel_noise_bytes)),
        ("all: no longer free", growth.used_bytes, Some(growth.used_noise_bytes)),
        ("all: no longer available", growth.available_bytes, Some(growth.available_noise_bytes)),
    ];
    let _ = writeln!(text, "resting  memory of each conversation");
    for (name, bytes, noise) in rows {
        let noise = noise.map_or_else(String::new, |noise| format!(" ± {}", signed_bytes(noise)));
        let _ = writeln!(text, "         {name:24} {:>9}{noise}", signed_bytes(bytes));
    }
    if growth.other_inodes > MANY_INODES {
        let _ = writeln!(
            text,
            "doubt    another program reads /proc/PID/fd: the kernel keeps {:.1} more inodes for each conversation, some 900 B each",
            growth.other_inodes
        );
    }
}

fn show_workers(text: &mut String, workers: &Workers) {
    let _ = match workers.processes {
        1 => writeln!(text, "workers  one process holds all of them"),
        count => writeln!(
            text,
            "workers  {count} processes hold {} conversations at the least, {} on average, {} at the most",
            grouped(workers.least as u64),
            rate(workers.mean),
            grouped(workers.most as u64)
        ),
    };
}
