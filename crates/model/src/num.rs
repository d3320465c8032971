//! Numbers, each kind of a type of its own, so that none is taken for another.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident;)*) => { $(
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Below every one that is given out: where a walk over all of them begins.
            pub const ZERO: Self = Self(0);

            /// The number as a row holds it.
            pub const fn new(num: i64) -> Self {
                Self(num)
            }

            /// The number as a row holds it.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )* };
}

numbers! {
    /// The number of an account, by which other tables refer to it; [`UserNum::ZERO`] before it is stored.
    UserNum;
    /// The number of a room, by which other tables refer to it; [`RoomNum::ZERO`] before it is stored.
    RoomNum;
    /// The number of a pusher, by which other tables refer to it.
    PusherNum;
    /// The number of a service token, by which other tables refer to it.
    ServiceTokenNum;
    /// The number of a webhook, by which other tables refer to it.
    WebhookNum;
    /// The number of a batch, by which other tables refer to it.
    BatchNum;
    /// The number of what is kept of a deactivated account, by which other tables refer to it.
    KeptNum;
    /// The number of an export, by which the worker refers to it.
    ExportNum;
    /// The number of a mail, by which its delivery refers to it.
    MailNum;
    /// A position in the stream of what clients sync. The first is 1.
    Pos;
    /// A point in time: milliseconds since the Unix epoch.
    Millis;
}

impl Pos {
    /// Above every position: where something ends that has not ended.
    pub const END: Self = Self(i64::MAX);
    /// At or above every position, and before [`Pos::END`]: the state here is the present one.
    pub const PRESENT: Self = Self(i64::MAX - 1);

    /// The position right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The position right before this one.
    #[must_use]
    pub const fn prev(self) -> Self {
        self.plus(-1)
    }

    /// The position so many further on.
    #[must_use]
    pub const fn plus(self, positions: i64) -> Self {
        Self(self.0.saturating_add(positions))
    }
}

impl Millis {
    /// After every time.
    pub const MAX: Self = Self(i64::MAX);

    /// The time so many milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The time so many milliseconds earlier.
    #[must_use]
    pub const fn minus(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// The beginning of the second that it is in.
    #[must_use]
    pub const fn whole_second(self) -> Self {
        Self(self.secs() * 1000)
    }

    /// Whole seconds since the Unix epoch.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time as UTC, in the form `2026-11-21 03:40:00`.
    pub fn utc(self) -> String {
        let seconds = self.secs();
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days of the proleptic Gregorian calendar, counted from the first of March of the year 0, so that
        // the leap day is the last day of a year. 719468 days lie between that day and the epoch.
        let days = days + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// Returns the number of milliseconds that it is after another time; negative if it is before.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Millis;

    #[test]
    fn times_as_utc() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_827_696_789, "2000-02-29 12:34:56"),
            (1_709_164_800_000, "2024-02-29 00:00:00"),
            (1_709_251_200_000, "2024-03-01 00:00:00"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
            (1_735_689_599_000, "2024-12-31 23:59:59"),
        ] {
            assert_eq!(Millis::new(ms).utc(), text);
        }
    }
}
