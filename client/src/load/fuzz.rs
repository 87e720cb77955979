//! Options of a load, see [`crate::fuzz`].

use super::limit::parse_limit;
use super::moment::parse_moment;
use super::quantity::{Stage, parse_number, parse_rate, parse_size, parse_stage, parse_think};
use super::schedule::Schedule;

/// All that reads an option of a load reads this text.
pub(crate) fn options(text: &str) {
    let lines = [
        parse_size(text).err(),
        parse_rate(text).err(),
        parse_number(text).err(),
        parse_moment(text).err(),
        parse_limit(text).err(),
        parse_stage(text).err(),
        parse_think(text).err(),
    ];
    assert!(lines.iter().flatten().all(|line| !line.contains('\n')));
    if let Ok(limit) = parse_limit(text) {
        assert_eq!(parse_limit(&limit.to_string()), Ok(limit));
    }
    let stages: Result<Vec<Stage>, _> = text.split(',').map(parse_stage).collect();
    let Ok(stages) = stages else { return };
    for stage in &stages {
        assert_eq!(parse_stage(&stage.to_string()), Ok(*stage));
    }
    let schedule = Schedule::staged(0, &stages, 3, Some(1_000_000));
    let length: u128 = stages.iter().map(|stage| stage.length.as_nanos()).sum();
    let mut last = 0;
    for now in [0, 1, 1_000_000_000, u64::try_from(length / 2).unwrap_or(u64::MAX), u64::MAX] {
        let due = schedule.due_by(0, now);
        assert!(due >= last || now < 1_000_000_000, "{due} are due after {last}");
        last = due;
    }
}
