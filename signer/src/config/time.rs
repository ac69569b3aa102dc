//! A time of day in text. Owns the one format that an anchor's time may have: RFC 3339 in UTC, to the second.

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SSZ`; none if it is anything else.
pub(super) fn rfc3339_to_unix_ms(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let shape = |index: usize, byte: u8| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    if bytes.len() != 20
        || !bytes
            .iter()
            .enumerate()
            .all(|(index, byte)| shape(index, *byte))
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        text.get(from..to)
            .and_then(|digits| digits.parse::<u64>().ok())
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |month: u64| match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    };
    let valid = year >= 1970 && (1..=12).contains(&month) && day >= 1 && day <= days_of(month);
    if !valid || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    let days = years + (1..month).map(days_of).sum::<u64>() + day - 1;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::rfc3339_to_unix_ms;

    #[test]
    fn known_times() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2026-11-23T10:00:00Z", Some(1_795_428_000_000)),
            ("2100-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-23T24:00:00Z", None),
            ("2026-11-23T10:00:00+01:00", None),
            ("2026-11-23 10:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(rfc3339_to_unix_ms(text), expected, "{text}");
        }
    }
}
