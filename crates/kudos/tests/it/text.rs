//! Text prices, row by row. See `tests/data/README.md`.

use muster_kudos::text::{Model, TextJob, TextRequest, Worker, estimate, worker_reward};

use crate::table::Table;

const ROWS: &str = include_str!("../data/text-kudos.csv");

#[test]
fn every_measured_price_is_met_exactly() {
    let mut counts = (0, 0);
    for row in Table::of(ROWS).rows() {
        let model = match row.get("model_state") {
            "known" => Some(Model::of_parameters(row.number("model_parameters"))),
            "unknown" => Some(Model::Unknown),
            _ => None,
        };
        let max_length = row.number("max_length");
        let priced = if row.get("kind") == "reward" {
            counts.0 += 1;
            let job = TextJob {
                max_length,
                prompt_chars: row.number("prompt_chars"),
                generation_chars: row.number("generation_chars"),
            };
            let worker = Worker {
                owner_trusted: row.flag("worker_trusted"),
                backend_validated: row.flag("backend_validated"),
            };
            worker_reward(&job, model.unwrap(), worker)
        } else {
            counts.1 += 1;
            let request = TextRequest {
                max_length,
                max_context_length: row.number("max_context_length"),
                count: row.number("n"),
            };
            estimate(request, model)
        };
        let expected: f64 = row.number("kudos");
        assert!(
            (priced - expected).abs() <= 1e-9 * expected.max(1.0),
            "{row:?}: {priced}"
        );
    }
    assert_eq!(counts, (350, 150));
}
