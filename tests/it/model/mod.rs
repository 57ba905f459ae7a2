//! Random tests, and the small models that say what is to come of them: [`steps`] does one thing
//! after the other, [`scripts`] lets handlers of every kind share transactions, and [`turmoil`]
//! breaks everything at once.

mod scripts;
mod steps;
mod turmoil;
