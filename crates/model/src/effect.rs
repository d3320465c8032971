//! Effects of events on users.

/// The effect of an event on a user, by push rules.
/// <https://spec.matrix.org/v1.18/client-server-api/#push-rules>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It does not notify.
    #[default]
    Nothing,
    /// It notifies.
    Notifies,
    /// It notifies, and is a highlight.
    Highlights,
}

impl Effect {
    /// Returns the effect of a number in a row; `None` if no effect has it.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Nothing),
            1 => Some(Self::Notifies),
            2 => Some(Self::Highlights),
            _ => None,
        }
    }

    /// Returns the number as a row holds it. Stronger effects have higher numbers.
    pub const fn number(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Notifies => 1,
            Self::Highlights => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn numbers_and_back() {
        let effects = [Effect::Nothing, Effect::Notifies, Effect::Highlights];
        assert_eq!(effects.map(Effect::number), [0, 1, 2]);
        assert_eq!([0, 1, 2].map(Effect::from_number), effects.map(Some));
        assert_eq!([-1, 3].map(Effect::from_number), [None, None]);
    }
}
