//! Classes of accounts: combinations of the flags by which lists filter.

use reeve_model::User;

/// A flag of accounts, by which a list can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Set if it is a guest.
    IsGuest,
    /// Set if it administers the server.
    Admin,
    /// Set if it is deactivated.
    Deactivated,
    /// Set if it is locked.
    Locked,
    /// Set if it is shadow-banned.
    ShadowBanned,
}

impl Flag {
    /// All flags, in the order in which `users.list_class` has them.
    pub(crate) const ALL: [Self; 5] =
        [Self::IsGuest, Self::Admin, Self::Deactivated, Self::Locked, Self::ShadowBanned];

    fn of(self, user: &User) -> bool {
        match self {
            Self::IsGuest => user.is_guest,
            Self::Admin => user.admin,
            Self::Deactivated => user.deactivated,
            Self::Locked => user.locked,
            Self::ShadowBanned => user.shadow_banned,
        }
    }
}

/// Returns the value of the generated column `users.list_class`.
pub(crate) fn of(user: &User) -> String {
    let mut class: String = Flag::ALL.iter().map(|flag| if flag.of(user) { '1' } else { '0' }).collect();
    class.push_str(user.user_type.as_deref().unwrap_or_default());
    class
}

/// The flags and the type of a class.
pub(crate) struct Class<'a> {
    flags: [bool; 5],
    /// The type of its accounts.
    pub(crate) user_type: Option<&'a str>,
}

impl<'a> Class<'a> {
    /// Reads a value of `users.list_class`.
    pub(crate) fn parse(class: &'a str) -> Self {
        let mut flags = [false; 5];
        for (flag, letter) in flags.iter_mut().zip(class.chars()) {
            *flag = letter == '1';
        }
        Self { flags, user_type: class.get(5..).filter(|user_type| !user_type.is_empty()) }
    }

    /// Returns the class with these bits, the highest of which is the first flag, and this type.
    pub(crate) fn from_bits(bits: i64, user_type: Option<&'a str>) -> Self {
        Self { flags: [16, 8, 4, 2, 1].map(|bit| bits & bit != 0), user_type }
    }

    /// Returns true if a flag is set.
    pub(crate) fn has(&self, flag: Flag) -> bool {
        let [is_guest, admin, deactivated, locked, shadow_banned] = self.flags;
        match flag {
            Flag::IsGuest => is_guest,
            Flag::Admin => admin,
            Flag::Deactivated => deactivated,
            Flag::Locked => locked,
            Flag::ShadowBanned => shadow_banned,
        }
    }
}

/// A class, and the number of accounts in it.
#[derive(Clone, Debug)]
pub(crate) struct ClassCount {
    pub(crate) class: String,
    pub(crate) n: i64,
}

/// Returns the number of accounts in some classes.
pub(crate) fn sum(classes: &[ClassCount]) -> i64 {
    classes.iter().map(|counted| counted.n).sum()
}

/// Adds to the count of a class.
pub(crate) fn tally(counts: &mut Vec<ClassCount>, class: String, n: i64) {
    match counts.iter_mut().find(|counted| counted.class == class) {
        Some(counted) => counted.n += n,
        None => counts.push(ClassCount { class, n }),
    }
}
