//! Figures as people read them.

/// A whole number with a comma between the thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something: 1 process, 2,000 processes.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", grouped(number))
}

/// A whole number, with a comma between the thousands, from a value on an axis.
pub fn whole(value: f64) -> String {
    let rounded = format!("{value:.0}");
    rounded.parse().map_or(rounded, grouped)
}

/// An amount per second; 0 where less than a nanosecond has passed.
pub(crate) fn per_second(amount: f64, seconds: f64) -> f64 {
    if seconds >= 1e-9 { amount / seconds } else { 0.0 }
}

/// A count per second, at least three digits of it, with a comma between the thousands.
pub fn rate(per_second: f64) -> String {
    let rounded = significant(per_second);
    rounded.parse().map_or(rounded, grouped)
}

/// A time in nanoseconds, with three digits and the unit that fits.
pub fn time(nanoseconds: f64) -> String {
    scaled(nanoseconds, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A count of bytes, with three digits and the binary unit that fits.
pub fn bytes(count: f64) -> String {
    scaled(count, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A difference of bytes, which may be negative, with three digits and the binary unit that fits.
pub fn signed_bytes(count: f64) -> String {
    if count < 0.0 { format!("-{}", bytes(-count)) } else { bytes(count) }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // 999.5 would be shown as 1000, which the next unit says better.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{} {}", significant(value), units[unit])
    }
}

/// At most three digits, but never fewer than stand before the point.
fn significant(value: f64) -> String {
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_the_unit_that_fits() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "process"), "1 process");
        assert_eq!(counted(2000, "process"), "2,000 processes");
        assert_eq!(counted(0, "thread"), "0 threads");
        assert_eq!(rate(0.0), "0.00");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(rate(99.96), "100");
        assert_eq!(rate(123_456.7), "123,457");
        assert_eq!(time(0.0), "0 ns");
        assert_eq!(time(999.4), "999 ns");
        assert_eq!(time(999.6), "1.00 µs");
        assert_eq!(time(42_123.0), "42.1 µs");
        assert_eq!(time(999_900.0), "1.00 ms");
        assert_eq!(time(12_000_000_000.0), "12.0 s");
        assert_eq!(time(5_000_000_000_000.0), "5000 s");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1023.0), "1.00 KiB");
        assert_eq!(bytes(7_340_032.0), "7.00 MiB");
    }
}
