//! The resources used by the processes of a server, if they are visible: on Linux, on this machine.

use std::fs;
use std::path::Path;

/// The unit of processor times, which Linux has fixed for all programs.
const TICKS_PER_SECOND: f64 = 100.0;
/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The processes of one server.
pub(super) struct Watched {
    /// The listening processes; their children count, too.
    listeners: Vec<u32>,
    /// The name of other programs that count, too.
    also: Option<String>,
}

/// The resources used by processes since they started.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) cpu_seconds: f64,
    /// Peak resident memory, in MB (10^6 bytes); the sum of several processes.
    pub(super) peak_mb: f64,
}

/// One process, as `/proc/…/stat` shows it.
#[derive(Debug, PartialEq)]
struct Process {
    id: u32,
    name: String,
    parent: u32,
    cpu_seconds: f64,
}

impl Watched {
    /// Finds the processes that listen on a port; `None` if none is visible from here.
    pub(super) fn find(port: u16, also: Option<String>) -> Option<Self> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listening(&table, port))
            .collect();
        let listeners: Vec<u32> =
            processes().map(|process| process.id).filter(|id| holds(*id, &inodes)).collect();
        (!listeners.is_empty()).then_some(Self { listeners, also })
    }

    pub(super) fn taken(&self) -> Taken {
        let all: Vec<Process> = processes().collect();
        let mut taken = Taken { cpu_seconds: 0.0, peak_mb: 0.0 };
        for process in &all {
            let named = self.also.as_ref().is_some_and(|also| *also == process.name);
            if named || descends(process.id, &self.listeners, &all) {
                taken.cpu_seconds += process.cpu_seconds;
                taken.peak_mb += peak_mb(process.id).unwrap_or_default();
            }
        }
        taken
    }
}

/// The sockets that listen on a port, by inode.
fn listening(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let lines = lines.filter(|fields| {
        fields.get(1).is_some_and(|local| local.ends_with(&port)) && fields.get(3) == Some(&LISTENING)
    });
    lines.filter_map(|fields| fields.get(9).map(ToString::to_string)).collect()
}

/// True if a process has one of the sockets open.
fn holds(id: u32, inodes: &[String]) -> bool {
    let handles = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    handles.filter_map(|handle| fs::read_link(handle.path()).ok()).any(|open| {
        let inode = open.to_str().and_then(|open| open.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|known| known == inode))
    })
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        parse(id, &fs::read_to_string(entry.path().join("stat")).ok()?)
    })
}

fn parse(id: u32, stat: &str) -> Option<Process> {
    // The name of the program is in brackets and may contain anything.
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    // Its own times and those of its children that have ended: so nothing is lost when a child ends.
    let ticks: Option<Vec<f64>> = fields.get(11..15)?.iter().map(|ticks| ticks.parse().ok()).collect();
    Some(Process { id, name, parent, cpu_seconds: ticks?.iter().sum::<f64>() / TICKS_PER_SECOND })
}

/// True if a process is one of the given ones or one of their descendants.
fn descends(id: u32, from: &[u32], all: &[Process]) -> bool {
    let mut id = id;
    // Parents that are read while processes start and end might form a cycle.
    for _ in 0..all.len() {
        if from.contains(&id) {
            return true;
        }
        match all.iter().find(|process| process.id == id) {
            Some(process) => id = process.parent,
            None => return false,
        }
    }
    false
}

fn peak_mb(id: u32) -> Option<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn only_who_listens_on_the_port_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F48 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0\n\
             1: 0100007F:1F48 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0\n\
             2: 00000000:0050 00000000:1F48 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0\n";
        assert_eq!(listening(table, 8008), ["111"]);
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7";
        let expected = Process { id: 7, name: "a) b (c".to_owned(), parent: 1, cpu_seconds: 1.27 };
        assert_eq!(parse(7, stat), Some(expected));
    }

    #[test]
    fn children_of_children_count() {
        let process = |id, parent| Process { id, name: String::new(), parent, cpu_seconds: 0.0 };
        let all = [process(1, 0), process(5, 1), process(6, 5), process(7, 6), process(8, 1)];
        let found: Vec<u32> = [1, 5, 6, 7, 8].into_iter().filter(|id| descends(*id, &[5], &all)).collect();
        assert_eq!(found, [5, 6, 7]);
    }

    #[test]
    fn this_process_is_found_by_its_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let watched = Watched::find(listener.local_addr().unwrap().port(), None).unwrap();
        assert_eq!(watched.listeners, [std::process::id()]);
        assert!(watched.taken().peak_mb > 1.0);
    }
}
