//! [`Blacklist`]: words that a worker does not want to see in a prompt, and the board's memory of
//! which prompts contain one.
//!
//! Reading prompts is slow compared with everything else that a board does: a hundred thousand of them
//! take a tenth of a second, and while the board decides, everybody else waits for it. So a search reads
//! only a few by itself. If more are unread, it hands them out ([`Unread`]), to be read while others use
//! the board, and takes the outcome ([`ReadPrompts`]) into its memory.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
    sync::Arc,
};

use aho_corasick::AhoCorasick;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

/// The words a worker refuses, ready to be looked for.
///
/// Building one costs some ten microseconds a word: build it when the worker checks in with a
/// changed list and share it among pops.
#[derive(Debug)]
pub struct Blacklist {
    /// Lower case, sorted, without duplicates or empty words.
    words: Box<[String]>,
    hash: u64,
    automaton: Option<AhoCorasick>,
}

impl Blacklist {
    /// A list of words. Case makes no difference and empty words are ignored.
    pub fn new<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Self {
        let mut words: Vec<String> = words
            .into_iter()
            .map(|word| word.as_ref().to_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        words.sort_unstable();
        words.dedup();
        let mut hasher = FxHasher::default();
        words.hash(&mut hasher);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&words)
            .ok();
        Self {
            hash: hasher.finish(),
            words: words.into(),
            automaton,
        }
    }

    /// Whether there is no word in it.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a word occurs anywhere in `prompt`, in whatever case, also inside another word.
    pub fn matches(&self, prompt: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        if prompt.is_ascii() {
            return self.finds(prompt);
        }
        self.finds(&prompt.to_lowercase())
    }

    fn finds(&self, text: &str) -> bool {
        match &self.automaton {
            Some(automaton) => automaton.is_match(text),
            None => self
                .words
                .iter()
                .any(|word| text.to_lowercase().contains(word.as_str())),
        }
    }
}

impl PartialEq for Blacklist {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.words == other.words
    }
}

impl Eq for Blacklist {}

/// Bytes that may be spent on remembering verdicts: those of 600 lists over 100,000 prompts, or of tens of
/// thousands over a few.
const MEMORY: usize = 16 << 20;
/// What a list costs besides its verdicts.
const LIST: usize = 256;
/// How many changed prompts are remembered for lists that are not in use.
const CHANGES: usize = 1 << 16;
/// Bytes of prompts that one search reads by itself: some hundred prompts of the usual length.
const READ_AT_ONCE: usize = 1 << 15;
/// Prompts that are handed out to be read at once.
const HANDED_OUT: usize = 1 << 12;

/// Which prompts contain a word of which list, so that each prompt is read once per list.
#[derive(Debug, Default)]
pub(crate) struct WordMemory {
    lists: FxHashMap<u64, Verdicts>,
    /// Slots whose prompt has changed, the oldest first. Lists that have not seen them yet catch up
    /// when they are used next.
    changes: VecDeque<u32>,
    /// Changes that were dropped from the front.
    dropped: u64,
    /// Counts uses, to tell which list was used least recently.
    uses: u64,
    /// Bytes spent on the lists.
    bytes: usize,
}

/// What is known of one list.
#[derive(Debug)]
pub(crate) struct Verdicts {
    list: Arc<Blacklist>,
    known: Known,
    /// Changes seen, including dropped ones.
    seen: u64,
    used: u64,
    /// Bytes that may still be read before the list is given back.
    budget: usize,
    /// What would have been read if there were no limit.
    unread: Vec<(u32, Arc<str>)>,
}

/// Prompts that have to be read before the board can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    list: Arc<Blacklist>,
    prompts: Vec<(u32, Arc<str>)>,
    /// Changes seen when the prompts were handed out.
    seen: u64,
}

impl Unread {
    /// Reads them. This takes milliseconds and needs no board.
    #[must_use = "the board has to learn of it"]
    pub fn read(self) -> ReadPrompts {
        let Self { list, prompts, seen } = self;
        let found = prompts
            .into_iter()
            .map(|(slot, prompt)| (slot, list.matches(&prompt)))
            .collect();
        ReadPrompts { list, found, seen }
    }
}

/// Prompts that have been read, see [`Board::learn`](crate::Board::learn).
#[derive(Debug)]
pub struct ReadPrompts {
    list: Arc<Blacklist>,
    /// The requests' slots, and whether a word was found.
    found: Vec<(u32, bool)>,
    seen: u64,
}

impl WordMemory {
    /// Takes out what is known of a list. To be given back by [`WordMemory::give_back`].
    pub(crate) fn take(&mut self, list: &Arc<Blacklist>) -> Verdicts {
        self.uses += 1;
        let end = self.dropped + self.changes.len() as u64;
        let known = self.forget(list.hash).filter(|verdicts| *verdicts.list == **list);
        let mut verdicts = known.unwrap_or_else(|| Verdicts {
            list: Arc::clone(list),
            known: Known::default(),
            seen: end,
            used: 0,
            budget: 0,
            unread: Vec::new(),
        });
        match verdicts.seen.checked_sub(self.dropped) {
            Some(seen) => {
                for &slot in self.changes.range(seen as usize..) {
                    verdicts.known.forget(slot);
                }
            }
            None => verdicts.known = Known::default(),
        }
        verdicts.seen = end;
        verdicts.used = self.uses;
        verdicts.budget = READ_AT_ONCE;
        verdicts
    }

    /// Takes in what was found in prompts. Those that have changed since they were handed out stay
    /// unread.
    pub(crate) fn learn(&mut self, read: ReadPrompts) {
        let Some(seen) = read.seen.checked_sub(self.dropped) else {
            return;
        };
        let changed: FxHashSet<u32> = self.changes.range(seen as usize..).copied().collect();
        let mut verdicts = self.take(&read.list);
        for (slot, found) in read.found {
            if !changed.contains(&slot) {
                verdicts.known.set(slot, found);
            }
        }
        self.give_back(verdicts);
    }

    /// Puts back what is known of a list. Those used least recently may be forgotten for it.
    pub(crate) fn give_back(&mut self, verdicts: Verdicts) {
        let bytes = verdicts.bytes();
        while self.bytes + bytes > MEMORY
            && let Some(oldest) = self
                .lists
                .iter()
                .min_by_key(|(_, list)| list.used)
                .map(|(&hash, _)| hash)
        {
            self.forget(oldest);
        }
        self.bytes += bytes;
        self.lists.insert(verdicts.list.hash, verdicts);
    }

    fn forget(&mut self, hash: u64) -> Option<Verdicts> {
        let verdicts = self.lists.remove(&hash)?;
        self.bytes -= verdicts.bytes();
        Some(verdicts)
    }

    /// Says that the prompt of a slot is another one from now on.
    pub(crate) fn changed(&mut self, slot: u32) {
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
            self.dropped += 1;
        }
        self.changes.push_back(slot);
    }
}

/// What is known of one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no word of the list in it.
    Clean,
    /// There is one.
    Forbidden,
    /// It has to be read first, which is too much for now.
    Unread,
}

impl Verdicts {
    /// Whether the prompt of `slot` contains a word of the list.
    pub(crate) fn of<'a>(&mut self, slot: u32, prompt: impl FnOnce() -> &'a Arc<str>) -> Verdict {
        match self.known.get(slot).or_else(|| self.read(slot, prompt())) {
            Some(false) => Verdict::Clean,
            Some(true) => Verdict::Forbidden,
            None => Verdict::Unread,
        }
    }

    /// Reads a prompt, or puts it aside if enough was read.
    fn read(&mut self, slot: u32, prompt: &Arc<str>) -> Option<bool> {
        let Some(left) = self.budget.checked_sub(prompt.len()) else {
            self.budget = 0;
            self.unread.push((slot, Arc::clone(prompt)));
            return None;
        };
        self.budget = left;
        let found = self.list.matches(prompt);
        self.known.set(slot, found);
        Some(found)
    }

    fn bytes(&self) -> usize {
        LIST + self.known.0.len() * size_of::<u64>()
    }

    /// Whether as many prompts were put aside as are handed out at once.
    pub(crate) fn is_full(&self) -> bool {
        self.unread.len() >= HANDED_OUT
    }

    /// The prompts that were put aside since the last time.
    pub(crate) fn take_unread(&mut self) -> Unread {
        Unread {
            list: Arc::clone(&self.list),
            prompts: std::mem::take(&mut self.unread),
            seen: self.seen,
        }
    }

    /// Forgets what was put aside: it was not needed after all.
    pub(crate) fn drop_unread(&mut self) {
        self.unread.clear();
    }
}

/// Two bits for each slot: whether its prompt was read, and whether a word was found in it.
#[derive(Debug, Default)]
struct Known(Vec<u64>);

impl Known {
    const READ: u64 = 1;
    const FOUND: u64 = 2;

    fn get(&self, slot: u32) -> Option<bool> {
        let bits = self.0.get(slot as usize / 32)? >> (slot % 32 * 2);
        (bits & Self::READ != 0).then_some(bits & Self::FOUND != 0)
    }

    fn set(&mut self, slot: u32, found: bool) {
        let word = slot as usize / 32;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.forget(slot);
        self.0[word] |= (Self::READ | if found { Self::FOUND } else { 0 }) << (slot % 32 * 2);
    }

    fn forget(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 32) {
            *word &= !((Self::READ | Self::FOUND) << (slot % 32 * 2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_inside_others() {
        let list = Blacklist::new(["Cat", "", "ÄRGER"]);
        assert!(list.matches("a conCATenation"));
        assert!(list.matches("viel ärger"));
        assert!(list.matches("VIEL ÄRGER"));
        assert!(!list.matches("a dog ### ugly"));
        assert!(!Blacklist::new([""]).matches("anything"));
    }

    #[test]
    fn order_and_case_make_no_other_list() {
        assert_eq!(Blacklist::new(["a", "B"]), Blacklist::new(["b", "A", "a"]));
        assert_ne!(Blacklist::new(["a"]), Blacklist::new(["b"]));
    }

    fn look(verdicts: &mut Verdicts, slot: u32, prompt: &str) -> Verdict {
        let prompt: Arc<str> = prompt.into();
        verdicts.of(slot, || &prompt)
    }

    fn memory_with_a_cat_in_slot_7() -> (WordMemory, Arc<Blacklist>) {
        let list = Arc::new(Blacklist::new(["cat"]));
        let mut memory = WordMemory::default();
        let mut verdicts = memory.take(&list);
        assert_eq!(look(&mut verdicts, 7, "a cat"), Verdict::Forbidden);
        memory.give_back(verdicts);
        (memory, list)
    }

    #[test]
    fn a_prompt_is_read_once_until_it_changes() {
        let (mut memory, list) = memory_with_a_cat_in_slot_7();
        let mut verdicts = memory.take(&Arc::new(Blacklist::new(["CAT"])));
        assert_eq!(verdicts.of(7, || unreachable!("read before")), Verdict::Forbidden);
        memory.give_back(verdicts);
        memory.changed(7);
        assert_eq!(look(&mut memory.take(&list), 7, "a dog"), Verdict::Clean);
    }

    #[test]
    fn a_list_that_missed_too_many_changes_starts_again() {
        let (mut memory, list) = memory_with_a_cat_in_slot_7();
        memory.changed(7);
        for _ in 0..=CHANGES {
            memory.changed(8);
        }
        assert_eq!(look(&mut memory.take(&list), 7, "a dog"), Verdict::Clean);
    }

    #[test]
    fn what_is_too_much_is_read_elsewhere_and_learnt() {
        let (mut memory, list) = memory_with_a_cat_in_slot_7();
        let mut verdicts = memory.take(&list);
        let long: Arc<str> = "dog ".repeat(READ_AT_ONCE).into();
        assert_eq!(verdicts.of(1, || &long), Verdict::Unread);
        assert_eq!(
            look(&mut verdicts, 2, "cat"),
            Verdict::Unread,
            "nothing is read after that"
        );
        assert_eq!(verdicts.of(7, || unreachable!("read before")), Verdict::Forbidden);
        let read = verdicts.take_unread().read();
        memory.give_back(verdicts);
        memory.changed(2);
        memory.learn(read);
        let mut verdicts = memory.take(&list);
        assert_eq!(verdicts.of(1, || unreachable!("learnt")), Verdict::Clean);
        assert_eq!(
            look(&mut verdicts, 2, "dog"),
            Verdict::Clean,
            "it has changed meanwhile"
        );
    }

    #[test]
    fn what_was_read_too_long_ago_is_not_believed() {
        let (mut memory, list) = memory_with_a_cat_in_slot_7();
        let mut verdicts = memory.take(&list);
        verdicts.budget = 0;
        assert_eq!(look(&mut verdicts, 1, "a cat"), Verdict::Unread);
        let read = verdicts.take_unread().read();
        memory.give_back(verdicts);
        for _ in 0..=CHANGES {
            memory.changed(1);
        }
        memory.learn(read);
        assert_eq!(look(&mut memory.take(&list), 1, "a dog"), Verdict::Clean);
    }

    #[test]
    fn the_list_used_least_recently_is_forgotten() {
        // Each takes a quarter of the memory, and a little more.
        const SLOT: u32 = (MEMORY / 4 / size_of::<u64>() * 32) as u32;
        let mut memory = WordMemory::default();
        for number in 0..5 {
            let mut verdicts = memory.take(&Arc::new(Blacklist::new([format!("word {number}")])));
            look(&mut verdicts, SLOT, "a cat");
            memory.give_back(verdicts);
        }
        assert_eq!(memory.lists.len(), 3);
        assert!(!memory.lists.contains_key(&Blacklist::new(["word 1"]).hash));
        assert_eq!(
            memory.bytes,
            memory.lists.values().map(Verdicts::bytes).sum::<usize>()
        );
        for number in 0..5 {
            drop(memory.take(&Arc::new(Blacklist::new([format!("word {number}")]))));
        }
        assert_eq!(memory.bytes, 0);
    }
}
