//! Where the wanted columns are in an object: a tree of keys.

use crate::Error;
use crate::scan::{DEPTH_MAX, Scanner, Slot, Syntax, unescape};

/// A key of an object that is wanted itself, or for what lies below it.
#[derive(Debug)]
struct Entry {
    key: Vec<u8>,
    slot: Option<usize>,
    child: Option<usize>,
    /// Slots of everything below the key.
    below: Vec<usize>,
}

/// The wanted keys of one object, sorted.
#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
    /// Guess: the entry that follows entry `i - 1` in the records seen so far (0: the first one).
    /// Producers write keys in one order, so a guess saves the search.
    following: Vec<usize>,
}

/// All wanted paths; one slot per distinct path.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    paths: Vec<String>,
    /// Values of the record scanned last.
    pub(crate) slots: Vec<Slot>,
    scratch: Vec<u8>,
}

impl Paths {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()], ..Self::default() }
    }

    /// Slot of a path, which is added if it is new.
    pub(crate) fn add(&mut self, path: &str) -> Result<usize, Error> {
        if path.split('.').any(str::is_empty) || path.split('.').count() >= DEPTH_MAX {
            return Err(Error::Path(path.to_owned()));
        }
        if let Some(known) = self.paths.iter().position(|p| p == path) {
            return Ok(known);
        }
        let slot = self.slots.len();
        self.paths.push(path.to_owned());
        self.slots.push(Slot::Missing);
        let mut node = 0;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let place = self.entry(node, part.as_bytes());
            let next = self.nodes.len();
            let Some(entry) = self.nodes.get_mut(node).and_then(|n| n.entries.get_mut(place)) else { break };
            if parts.peek().is_none() {
                entry.slot = Some(slot);
                break;
            }
            entry.below.push(slot);
            node = *entry.child.get_or_insert(next);
            if node == next {
                self.nodes.push(Node::default());
            }
        }
        Ok(slot)
    }

    /// Place of a key in a node, inserted if new.
    fn entry(&mut self, node: usize, key: &[u8]) -> usize {
        let Some(node) = self.nodes.get_mut(node) else { return 0 };
        match node.entries.binary_search_by(|e| e.key.as_slice().cmp(key)) {
            Ok(place) => place,
            Err(place) => {
                let entry = Entry { key: key.to_vec(), slot: None, child: None, below: Vec::new() };
                node.entries.insert(place, entry);
                node.following = vec![0; node.entries.len() + 1];
                place
            }
        }
    }

    /// Scans one message into the slots. `Ok(false)`: it is JSON, but not an object.
    pub(crate) fn scan(&mut self, message: &str) -> Result<bool, Syntax> {
        self.slots.fill(Slot::Missing);
        let mut scanner = Scanner::new(message);
        scanner.blank();
        let is_object = scanner.peek() == Some(b'{');
        if is_object {
            self.object(&mut scanner, 0, 1)?;
        } else {
            scanner.value(0)?;
        }
        scanner.end()?;
        Ok(is_object)
    }

    /// Scans an object. Recursion goes only along wanted paths.
    fn object(&mut self, scanner: &mut Scanner<'_>, node: usize, depth: usize) -> Result<(), Syntax> {
        if depth > DEPTH_MAX {
            return scanner.fault("less nesting");
        }
        scanner.advance();
        scanner.blank();
        if scanner.peek() == Some(b'}') {
            scanner.advance();
            return Ok(());
        }
        let mut previous = 0;
        loop {
            let key = scanner.key()?;
            match self.find(scanner, node, key, &mut previous) {
                Some((slot, child)) => self.wanted(scanner, slot, child, depth)?,
                None => {
                    scanner.value(depth)?;
                }
            }
            scanner.blank();
            match scanner.peek() {
                Some(b',') => scanner.advance(),
                Some(b'}') => {
                    scanner.advance();
                    return Ok(());
                }
                _ => return scanner.fault("a comma or a closing brace"),
            }
            scanner.blank();
        }
    }

    /// Scans the value of a wanted key. Of a key that stands twice the last one counts.
    fn wanted(
        &mut self,
        scanner: &mut Scanner<'_>,
        slot: Option<usize>,
        child: Option<usize>,
        depth: usize,
    ) -> Result<(), Syntax> {
        let value = match child {
            Some(child) if scanner.peek() == Some(b'{') => {
                self.object(scanner, child, depth + 1)?;
                Slot::Object
            }
            _ => scanner.value(depth)?,
        };
        if let Some(slot) = slot.and_then(|s| self.slots.get_mut(s)) {
            *slot = value;
        }
        Ok(())
    }

    /// Entry of a key, and the slots below it emptied.
    fn find(
        &mut self,
        scanner: &Scanner<'_>,
        node: usize,
        key: Slot,
        previous: &mut usize,
    ) -> Option<(Option<usize>, Option<usize>)> {
        let Slot::Text { start, end, escaped } = key else { return None };
        let mut text = scanner.slice(start, end);
        if escaped {
            self.scratch.clear();
            unescape(text, &mut self.scratch);
            text = &self.scratch;
        }
        let node = self.nodes.get_mut(node)?;
        let guess = node.following.get(*previous).copied().unwrap_or(0);
        let place = if node.entries.get(guess).is_some_and(|e| e.key == text) {
            guess
        } else {
            let place = node.entries.binary_search_by(|e| e.key.as_slice().cmp(text)).ok()?;
            if let Some(following) = node.following.get_mut(*previous) {
                *following = place;
            }
            place
        };
        *previous = place + 1;
        let entry = node.entries.get(place)?;
        for slot in &entry.below {
            if let Some(slot) = self.slots.get_mut(*slot) {
                *slot = Slot::Missing;
            }
        }
        Some((entry.slot, entry.child))
    }

    /// The value found for a slot.
    pub(crate) fn slot(&self, slot: usize) -> Slot {
        self.slots.get(slot).copied().unwrap_or(Slot::Missing)
    }
}
