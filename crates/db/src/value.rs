use reeve_model::{
    ActorKind, BatchNum, BatchOutcome, Consent, DeliveryKind, Effect, EmailPurpose, ExportNum, ExportState,
    HappeningKind, JobState, KeptNum, KeyUsage, Language, MailNum, Membership, Millis, Pos, PusherNum,
    ReportKind, ReportState, Resolution, ResponseMode, RetentionRule, RoomNum, ServiceTokenNum, UserNum,
    WebhookNum,
};

/// One value on its way into a statement or out of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// BIGINT, and flags as 0 or 1.
    Int(i64),
    /// TEXT.
    Text(&'a str),
    /// BLOB or BYTEA.
    Blob(&'a [u8]),
}

impl Value<'_> {
    /// Returns the kind of the value, for error messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// Types that can be a parameter of a statement.
pub trait ToValue {
    /// Returns the value, borrowed.
    fn to_value(&self) -> Value<'_>;
}

/// Types that can be read from a column.
pub trait FromValue: Sized {
    /// The expected kind, for error messages: "an integer".
    const EXPECTED: &'static str;

    /// Returns the value in this type; `None` if it is of another type (including NULL) or out of range.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// The parameters of one statement: `&params![user_id, num, &token_hash]`.
///
/// Each is anything [`ToValue`], borrowed for the length of the call.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::ToValue::to_value(&$value)),*] };
}

macro_rules! integers {
    ($($int:ty: $expected:literal),*) => { $(
        impl ToValue for $int {
            fn to_value(&self) -> Value<'_> {
                Value::Int(i64::from(*self))
            }
        }

        impl FromValue for $int {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Int(int) => int.try_into().ok(),
                    Value::Null | Value::Text(_) | Value::Blob(_) => None,
                }
            }
        }
    )* };
}

integers! {
    i64: "an integer", i32: "an integer of 32 bits", u32: "a natural number of 32 bits",
    u16: "a natural number of 16 bits", u8: "a natural number of 8 bits"
}

macro_rules! wrapped_integers {
    ($($int:ty: $expected:literal),*) => { $(
        impl ToValue for $int {
            fn to_value(&self) -> Value<'_> {
                Value::Int(self.get())
            }
        }

        impl FromValue for $int {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'_>) -> Option<Self> {
                i64::from_value(value).map(Self::new)
            }
        }
    )* };
}

wrapped_integers! {
    UserNum: "the number of an account", RoomNum: "the number of a room", PusherNum: "the number of a pusher",
    ServiceTokenNum: "the number of a service token", WebhookNum: "the number of a webhook",
    BatchNum: "the number of a batch", KeptNum: "the number of what is kept of an account",
    ExportNum: "the number of an export", MailNum: "the number of a mail",
    Pos: "a position in the stream", Millis: "a time in milliseconds"
}

macro_rules! words {
    ($($word:ty: $expected:literal),*) => { $(
        impl ToValue for $word {
            fn to_value(&self) -> Value<'_> {
                Value::Text(self.as_str())
            }
        }

        impl FromValue for $word {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Text(text) => text.parse().ok(),
                    Value::Null | Value::Int(_) | Value::Blob(_) => None,
                }
            }
        }
    )* };
}

words! {
    Membership: "a membership", JobState: "the state of a job", ActorKind: "the kind of an actor",
    DeliveryKind: "a kind of delivery", ReportKind: "a kind of report", ReportState: "the state of a report",
    Resolution: "the resolution of a report", HappeningKind: "the kind of a happening",
    BatchOutcome: "an outcome in a batch", KeyUsage: "the usage of a key", RetentionRule: "a rule of retention",
    ExportState: "the state of an export", ResponseMode: "a response mode", Consent: "the answer of a person",
    EmailPurpose: "the purpose of an e-mail address", Language: "a language"
}

impl ToValue for Effect {
    fn to_value(&self) -> Value<'_> {
        Value::Int(self.number())
    }
}

impl FromValue for Effect {
    const EXPECTED: &'static str = "the effect of an event";

    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(Self::from_number)
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Int(i64::from(*self))
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl ToValue for Value<'_> {
    fn to_value(&self) -> Value<'_> {
        *self
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "0 or 1";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            Value::Null | Value::Int(_) | Value::Text(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "a text";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Null | Value::Int(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for Vec<u8> {
    const EXPECTED: &'static str = "bytes";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.to_owned()),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    const EXPECTED: &'static str = "bytes of a fixed length";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => bytes.try_into().ok(),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::Int(_) | Value::Text(_) | Value::Blob(_) => T::from_value(value).map(Some),
        }
    }
}
