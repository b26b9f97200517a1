//! Prices of alchemy, row by row. See `tests/data/README.md`.

use muster_kudos::alchemy::{PricedForm, requester_charge, tiles, worker_reward};
use muster_protocol::{Kudos, image::PostProcessor};

use crate::table::Table;

const ROWS: &str = include_str!("../data/alchemy-kudos.csv");

#[test]
fn every_price_is_met_exactly() {
    let table = Table::of(ROWS);
    let rows = table.rows();
    assert_eq!(rows.len(), 414);
    for row in rows {
        let form = match row.get("form") {
            "interrogation" => PricedForm::Interrogation,
            name if name.parse::<PostProcessor>().is_ok() => PricedForm::PostProcessing,
            _ => PricedForm::Analysis,
        };
        let tiles = tiles(row.number("image_width"), row.number("image_height"));
        assert_eq!(tiles, row.number::<u32>("image_tiles"), "{row:?}");
        let reward = worker_reward(form, tiles);
        assert_eq!(reward, Kudos::from_f64(row.number("kudos")), "{row:?}");
        let charge = requester_charge(reward, row.flag("slow_workers"));
        assert_eq!(charge, Kudos::from_f64(row.number("requester_kudos")), "{row:?}");
    }
}
