//! Tokens that were verified before, by their SHA-256: the same token comes with every request of
//! an agent. Bounded, and what has not been used lately goes first.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use super::Token;

/// What a token is known by.
pub(super) type Print = [u8; 32];

/// Two halves: a new one that fills up, and an old one that is thrown away when it has.
pub(super) struct Verified {
    halves: Mutex<Halves>,
    capacity: usize,
}

#[derive(Default)]
struct Halves {
    new: HashMap<Print, Arc<Token>>,
    old: HashMap<Print, Arc<Token>>,
}

/// Ten thousand agents at once, a few hundred bytes each.
const CAPACITY: usize = 10_000;

impl Default for Verified {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl Verified {
    /// For about as many tokens.
    fn new(capacity: usize) -> Self {
        Self {
            halves: Mutex::default(),
            capacity: capacity / 2,
        }
    }

    pub(super) fn get(&self, print: &Print) -> Option<Arc<Token>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = halves.new.get(print) {
            return Some(token.clone());
        }
        let token = halves.old.remove(print)?;
        halves.put(self.capacity, *print, token.clone());
        Some(token)
    }

    pub(super) fn put(&self, print: Print, token: Arc<Token>) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.put(self.capacity, print, token);
    }
}

impl Halves {
    fn put(&mut self, capacity: usize, print: Print, token: Arc<Token>) {
        if self.new.len() >= capacity {
            self.old = mem::take(&mut self.new);
        }
        self.new.insert(print, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(number: u32) -> Print {
        let mut print = [0; 32];
        print[..4].copy_from_slice(&number.to_be_bytes());
        print
    }

    #[test]
    fn it_stays_small_and_keeps_what_is_used() {
        let verified = Verified::new(100);
        let token = Arc::new(Token::sample());
        for number in 0..10_000 {
            verified.put(print(number), token.clone());
            assert_eq!(verified.get(&print(7)).is_some(), number >= 7);
        }
        assert!(verified.get(&print(9_999)).is_some() && verified.get(&print(100)).is_none());
        let halves = verified.halves.lock().unwrap();
        assert!(halves.new.len() + halves.old.len() <= 101);
    }
}
