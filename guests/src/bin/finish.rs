//! Ends at once, with success and without a word.
//! The smallest run there is: what remains is the cost of the host.

fn main() {}
