//! The schema of the ledger, as a sequence of steps.

/// The `user_version` of a ledger is the number of applied steps.
pub(super) const MIGRATIONS: [&str; 9] = [
    include_str!("001_initial.sql"),
    include_str!("002_wakes.sql"),
    include_str!("003_recovery.sql"),
    include_str!("004_open_states.sql"),
    include_str!("005_delivery_routes.sql"),
    include_str!("006_standard_words.sql"),
    include_str!("007_events.sql"),
    include_str!("008_leases.sql"),
    include_str!("009_failed_jobs.sql"),
];

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn texts(connection: &Connection, query: &str) -> Vec<String> {
        let mut query = connection.prepare(query).expect("a query");
        let rows = query.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }

    #[test]
    fn states_with_old_names_get_the_new_ones_and_nothing_else_changes() {
        let connection = Connection::open_in_memory().expect("a database");
        let (before, step) = (&MIGRATIONS[..5], MIGRATIONS[5]);
        before.iter().for_each(|step| connection.execute_batch(step).expect("a step"));
        connection
            .execute_batch(
                "INSERT INTO wakes (id, session, sink, state, created_at, text, job_ids, jobs, since) VALUES
                     ('a', 's', 'k', 'settled', 1, '', '[]', '[]', 1), ('b', 's', 'k', 'dead', 1, '', '[]', '[]', 1);
                 INSERT INTO attempts (wake, number, started_at, result) VALUES (1, 1, 1, 'taken'), (2, 1, 1, 'failed');
                 INSERT INTO facts VALUES ('pruned_at', '17');",
            )
            .expect("rows");
        connection.execute_batch(step).expect("the step");
        assert_eq!(texts(&connection, "SELECT state FROM wakes ORDER BY seq"), ["superseded", "dead"]);
        assert_eq!(texts(&connection, "SELECT result FROM attempts ORDER BY wake"), ["claimed", "failed"]);
        assert_eq!(texts(&connection, "SELECT value FROM meta"), ["17"]);
    }
}
