//! Sets of accounts: a bit for each number.

/// The number of members of a word up to which it is faster to look at their values alone than at all 64.
const FEW: u32 = 16;

/// A set of accounts, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Returns an empty set that has room for the numbers below `len`.
    pub(crate) fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// Returns the set of the places of a column at which a condition holds.
    pub(crate) fn of<T: Copy>(column: &[T], holds: impl Fn(T) -> bool) -> Self {
        Self(column.chunks(64).map(|values| mask(values, &holds)).collect())
    }

    /// Keeps the members at whose places of a column a condition holds.
    pub(crate) fn keep<T: Copy>(&mut self, column: &[T], holds: impl Fn(T) -> bool) {
        for (word, values) in self.0.iter_mut().zip(column.chunks(64)) {
            *word = kept(*word, values, &holds);
        }
    }

    /// Keeps the members that are also in another set.
    pub(crate) fn keep_those_in(&mut self, other: &Self) {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.0.iter_mut().zip(others) {
            *word &= other;
        }
    }

    /// Returns true if an account is a member.
    pub(crate) fn has(&self, num: u32) -> bool {
        self.0.get(word_of(num)).is_some_and(|word| word >> (num % 64) & 1 == 1)
    }

    /// Adds or removes an account.
    pub(crate) fn set(&mut self, num: u32, is_member: bool) {
        let at = word_of(num);
        if at >= self.0.len() {
            if !is_member {
                return;
            }
            self.0.resize(at + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at) {
            let bit = 1 << (num % 64);
            *word = if is_member { *word | bit } else { *word & !bit };
        }
    }

    /// Returns the number of members.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Returns the number of members at whose places of a column a condition holds.
    pub(crate) fn count_of<T: Copy>(&self, column: &[T], holds: impl Fn(T) -> bool) -> usize {
        let words = self.0.iter().zip(column.chunks(64));
        words.map(|(word, values)| kept(*word, values, &holds).count_ones() as usize).sum()
    }

    /// Returns up to twice as many members as are wanted, spread over the whole set.
    pub(crate) fn spread(&self, wanted: usize) -> impl Iterator<Item = u32> {
        let step = (self.0.len() / wanted.max(1)).max(1);
        let words = (0_u32..).step_by(64).zip(&self.0).step_by(step);
        words.filter(|(_, word)| **word != 0).map(|(first, word)| first + word.trailing_zeros())
    }

    /// Returns the members, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).step_by(64).zip(&self.0).flat_map(|(first, word)| ones(*word).map(move |bit| first + bit))
    }
}

fn word_of(num: u32) -> usize {
    num as usize / 64
}

/// Returns the places of the ones of a word.
fn ones(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

/// Returns the members of a word at whose values a condition holds.
fn kept<T: Copy>(word: u64, values: &[T], holds: &impl Fn(T) -> bool) -> u64 {
    if word.count_ones() > FEW {
        return word & mask(values, holds);
    }
    let is_kept = |bit: &u32| values.get(*bit as usize).is_some_and(|value| holds(*value));
    ones(word).filter(is_kept).fold(0, |kept, bit| kept | 1 << bit)
}

fn mask<T: Copy>(values: &[T], holds: &impl Fn(T) -> bool) -> u64 {
    values.iter().enumerate().fold(0, |mask, (bit, value)| mask | u64::from(holds(*value)) << bit)
}
