//! Basic types of Reeve: identifiers, accounts, sessions, the Matrix error, time and randomness. No I/O, no async.

pub mod browser;
pub mod clock;
pub mod ctx;
pub mod effect;
pub mod encoding;
pub mod error;
pub mod id;
mod language;
pub mod num;
pub mod random;
pub mod role;
pub mod scopes;
pub mod service;
pub mod session;
pub mod token;
pub mod user;
pub mod word;

pub use browser::BrowserSession;
pub use clock::Clock;
pub use ctx::{Actor, Ctx};
pub use effect::Effect;
pub use error::MatrixError;
pub use num::{
    BatchNum, ExportNum, KeptNum, MailNum, Millis, Pos, PusherNum, RoomNum, ServiceTokenNum, UserNum,
    WebhookNum,
};
pub use role::Role;
pub use scopes::Scopes;
pub use service::{Network, Service};
pub use session::{RateLimitOverride, Session, TokenHash};
pub use token::{Epoch, SlidingToken, Token};
pub use user::{User, UserType};
pub use word::{
    ActorKind, BatchOutcome, BuiltInRole, Consent, DeliveryKind, EmailPurpose, ExportState, HappeningKind,
    JobState, KeyUsage, Language, Membership, ReportAct, ReportKind, ReportState, Resolution, ResponseMode,
    RetentionRule, Scope,
};
