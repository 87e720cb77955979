//! Invented machines.

use harness::models::Model;

use super::*;
use crate::limits::Room;

/// A machine on which a million fit, with two cores and 20,000 descriptors in each process.
fn machine() -> Limits {
    Limits {
        cores: 2,
        descriptors: 20_000,
        nr_open: 1 << 20,
        files: 2_400_000,
        watches: 5_000_000,
        memory_bytes: Room { free: 22 << 30, setting: "memory".to_owned() },
        memory_total_bytes: 24 << 30,
        ports: 28_232,
        tasks: Room { free: 32_000, setting: "kernel.pid_max".to_owned() },
        maps: 65_530,
        queue: 4096,
        tracked: None,
    }
}

fn wish(model: Model) -> Wish {
    Wish { model, processes: None, in_flight: 1024 }
}

fn plan(asked: u64, limits: &Limits) -> Plan {
    Plan::make(Some(asked), &wish(Model::Mio), limits).unwrap()
}

/// The one line that says what stops it.
fn refusal(plan: &Plan) -> String {
    plan.check().unwrap_err().to_string()
}

fn fits(plan: &Plan, resource: Resource) -> u64 {
    plan.rows.iter().find(|row| row.resource == resource).unwrap().fits
}

#[test]
fn one_process_holds_as_many_as_it_has_descriptors_and_the_clients_are_as_many_as_it_takes() {
    let plan = plan(19_000, &machine());
    plan.check().unwrap();
    assert_eq!((plan.layout.server_processes, plan.layout.client_processes), (1, 2));
    let beyond = self::plan(50_000, &machine());
    assert_eq!(beyond.layout.client_processes, 3);
    assert_eq!(fits(&beyond, Resource::ServerDescriptors), 20_000 - RESERVED_DESCRIPTORS);
    let line = refusal(&beyond);
    assert!(line.starts_with("50,000 connections do not fit: descriptors per server process"), "{line}");
    assert!(line.contains("19,936") && line.contains("ulimit -Hn"), "{line}");
}

#[test]
fn without_a_number_as_many_are_planned_as_fit_and_what_fits_passes() {
    let mut limits = machine();
    let most = |limits: &Limits| {
        let plan = Plan::make(None, &wish(Model::Mio), limits).unwrap();
        plan.check().unwrap();
        plan.layout.connections
    };
    assert_eq!(most(&limits), 19_936);
    limits.descriptors = 1 << 20;
    assert_eq!(most(&limits), A_MILLION);
    limits.files = 1_000_000;
    let files = most(&limits);
    assert!((499_000..500_000).contains(&files), "{files}");
    assert!(plan(files + 1, &limits).check().is_err());
}

#[test]
fn each_resource_stops_it_and_is_named_with_its_remedy() {
    type Spoil = fn(&mut Limits);
    let spoil: [(Spoil, &str, &str); 8] = [
        (|it| it.descriptors = 300, "descriptors per server process", "ulimit -Hn"),
        (|it| it.files = 100_000, "open files", "fs.file-max"),
        (|it| it.watches = 100_000, "epoll watches", "fs.epoll.max_user_watches"),
        (|it| it.memory_bytes.free = 2 << 30, "memory", "more memory"),
        (
            |it| it.memory_bytes = Room { free: 2 << 30, setting: "/sys/fs/cgroup/a/memory.max".to_owned() },
            "memory",
            "/sys/fs/cgroup/a/memory.max",
        ),
        (|it| it.tasks.free = 3, "processes and threads", "kernel.pid_max"),
        (|it| it.queue = 0, "listen queue", "net.core.somaxconn"),
        (|it| it.tracked = Some(60_000), "connections tracked", "nf_conntrack_max"),
    ];
    for (spoil, name, remedy) in spoil {
        let mut limits = machine();
        limits.descriptors = 1 << 20;
        plan(200_000, &limits).check().unwrap();
        spoil(&mut limits);
        let line = refusal(&plan(200_000, &limits));
        assert!(line.contains(&format!("fit: {name}")) && line.contains(remedy), "{line}");
    }
}

#[test]
fn the_reserve_of_memory_is_not_touched() {
    let mut limits = machine();
    limits.descriptors = 1 << 20;
    limits.memory_bytes.free = limits.memory_total_bytes / RESERVE_DIVISOR;
    assert_eq!(fits(&plan(10, &limits), Resource::Memory), 0);
}

#[test]
fn what_the_firewall_does_not_track_is_no_row() {
    let plan = plan(10, &machine());
    assert!(plan.rows.iter().all(|row| row.resource != Resource::Tracked));
}

#[test]
fn a_thread_per_conversation_needs_as_many_tasks_and_a_process_no_descriptor() {
    let make = |model| Plan::make(Some(10_000), &wish(model), &machine()).unwrap();
    assert!(fits(&make(Model::Thread), Resource::Tasks) < 32_000);
    assert!(fits(&make(Model::Thread), Resource::Maps) < 65_530 / 4);
    assert_eq!(fits(&make(Model::Fork), Resource::ServerDescriptors), MOST);
    assert!(Plan::make(Some(1), &wish(Model::Iterative), &machine()).is_err());
    assert!(Plan::make(Some(1), &Wish { processes: Some(2), ..wish(Model::Mio) }, &machine()).is_err());
}

#[test]
fn the_shares_are_the_whole_and_as_equal_as_can_be() {
    for connections in [1, 2, 7, 19_937, 1_000_000] {
        let layout = plan(connections, &machine()).layout;
        let shares: Vec<_> = (0..layout.client_processes).map(|index| layout.share(index)).collect();
        let mut next = 0;
        for (first, count) in &shares {
            assert_eq!(*first, next);
            assert!(*count <= 20_000 - RESERVED_DESCRIPTORS, "{layout:?}");
            next += count;
        }
        assert_eq!(next, connections);
        let counts = || shares.iter().map(|(_, count)| *count);
        assert!(counts().max().unwrap() - counts().min().unwrap() <= 1, "{layout:?}");
    }
}

#[test]
fn few_ports_make_more_source_addresses_and_a_short_queue_a_narrow_window() {
    let mut limits = machine();
    (limits.ports, limits.queue) = (100, 16);
    let layout = plan(19_000, &limits).layout;
    assert_eq!(layout.sources_per_client, 9_500 / 50);
    assert_eq!(layout.opening_per_client * layout.client_processes, 8);
    limits.queue = 1 << 20;
    let layout = plan(19_000, &limits).layout;
    assert!(layout.opening_per_client * layout.client_processes <= 1024);
}

#[test]
fn a_model_with_processes_takes_as_many_as_the_descriptors_ask_for() {
    let make = |limits: &Limits| Plan::make(Some(A_MILLION), &wish(Model::Hybrid), limits).unwrap();
    let plan = make(&machine());
    plan.check().unwrap();
    let processes = plan.layout.server_processes;
    assert_eq!(processes, 51);
    let mut narrow = machine();
    narrow.descriptors = 10_000;
    let more = make(&narrow);
    more.check().unwrap();
    assert!(more.layout.server_processes > 100 && more.layout.client_processes > 100);
    // With so few, the parent could not hold the inboxes of as many processes as that takes.
    narrow.descriptors = 300;
    let line = refusal(&make(&narrow));
    assert!(line.contains("descriptors") && line.contains("ulimit -Hn"), "{line}");
    let chosen = Wish { processes: Some(3), ..wish(Model::Hybrid) };
    let few = Plan::make(Some(A_MILLION), &chosen, &machine()).unwrap();
    assert_eq!(few.layout.server_processes, 3);
    assert!(refusal(&few).contains("--processes"));
}
