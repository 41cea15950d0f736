//! The two ends of the connection to an executor: `there` is the program on its machine, which launches, ends and reports
//! jobs; `at_home` writes what it reports into the records at home.

pub(crate) mod at_home;
pub(crate) mod there;
