//! A tiny Zoho for the tests of this room: answers what it is told to, and counts.
