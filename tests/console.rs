//! The console in a real browser: what a person reads there is what the closing table says.

use crate::support::vigie::{Daemon, binary, quick_config, root};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);

/// Starts a short demo that stays open; gives it, the console's address and the closing table.
fn demo(folder: &Path) -> (Daemon, String, Value) {
    let summary = folder.join("summary.json");
    let mut child = Command::new(binary())
        .args(["demo", "--until", "2013-02-01", "--days", "10", "--no-retrain", "--keep", "--console", "127.0.0.1:0"])
        .args(["--config".as_ref(), quick_config(folder).as_os_str(), "--summary".as_ref(), summary.as_os_str()])
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let daemon = Daemon(child);
    let (mut address, mut said) = (None, Vec::new());
    for line in lines.by_ref() {
        address = address.or_else(|| line.strip_prefix("console: ").map(str::to_owned));
        let is_open = line.starts_with("the console stays open");
        said.push(line);
        if is_open {
            break;
        }
    }
    // Read on, so that nothing it says later breaks its pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let address = address.unwrap_or_else(|| panic!("no console: {said:#?}"));
    let table = std::fs::read(&summary).unwrap_or_else(|e| panic!("no closing table, {e}: {said:#?}"));
    (daemon, address, serde_json::from_slice(&table).unwrap())
}

/// The page as it stands after its scripts have run.
fn page(folder: &Path, address: &str) -> String {
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1400,2200", "--virtual-time-budget=5000", "--dump-dom", address])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()));
    let output = command.output().unwrap_or_else(|error| {
        panic!("chromium cannot be started ({error}); install it with: apt-get install -y chromium")
    });
    String::from_utf8(output.stdout).unwrap()
}

/// Text of the element with an id that holds nothing but text.
fn text<'a>(page: &'a str, id: &str) -> &'a str {
    let from = page.find(&format!("id=\"{id}\">")).unwrap_or_else(|| panic!("no #{id} in {page}"));
    let inner = &page[from..];
    let begin = inner.find('>').unwrap() + 1;
    &inner[begin..begin + inner[begin..].find('<').unwrap()]
}

/// Cells of the rows of a table, without its head.
fn rows(page: &str, id: &str) -> Vec<Vec<String>> {
    let table = &page[page.find(&format!("<table id=\"{id}\">")).unwrap()..];
    let table = &table[..table.find("</table>").unwrap()];
    let cells = |row: &str| -> Vec<String> {
        row.split("<td").skip(1).map(|c| c[c.find('>').unwrap() + 1..c.find("</td>").unwrap()].to_owned()).collect()
    };
    table.split("<tr>").map(cells).filter(|cells| !cells.is_empty()).collect()
}

/// A count as the page writes it.
fn whole(value: &Value) -> String {
    let digits = value.as_u64().unwrap().to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[test]
fn the_numbers_on_the_page_are_those_of_the_closing_table() {
    let folder = tempfile::tempdir().unwrap();
    let (daemon, address, summary) = demo(folder.path());
    let began = Instant::now();
    // The browser's first start may be slow enough to outlast its budget.
    let mut shown = page(folder.path(), &address);
    while !shown.contains("fact-scored") && began.elapsed() < LIMIT {
        shown = page(folder.path(), &address);
    }
    for name in ["scored", "rejected", "joined", "pending", "expired"] {
        assert_eq!(text(&shown, &format!("fact-{name}")), whole(&summary[name]), "{name}");
    }
    let mut expected = Vec::new();
    let months = summary["months"].as_array().unwrap().iter().map(|m| (m["month"].as_str().unwrap(), m));
    for (month, line) in months.chain([("all", &summary)]) {
        let metric = |who: &str, name: &str| format!("{:.4}", line[who][name].as_f64().unwrap());
        let mut cells = vec![month.to_owned(), whole(&line["served"]["rows"])];
        for name in ["log_loss", "auc"] {
            cells.extend([metric("served", name), metric("frozen", name)]);
        }
        expected.push(cells);
    }
    assert!(expected.len() > 1, "no month in {summary}");
    assert_eq!(rows(&shown, "months"), expected);
    let raised = summary["alerts"].as_array().unwrap().len();
    let on_page = rows(&shown, "alerts").iter().filter(|cells| cells[2] == "raised").count();
    assert!(raised > 0, "no alert to be shown in {summary}");
    assert_eq!(on_page, raised, "raised alerts");
    assert_eq!(shown.matches("<svg").count(), 5, "charts: throughput, loss, AUC, versions, drift");
    assert_eq!(daemon.terminate().0, Some(0));
}
