//! What follows when something bad comes from an address (spec: alchemy and safety, B9).

use std::{collections::HashMap, net::IpAddr, time::Duration};

use muster_protocol::Timestamp;
use muster_store::Rebuke;
use parking_lot::Mutex;

use crate::{Call, Engine, call::Proxy, error::Result};

/// What follows for everybody: reports are remembered for a day, and every further one blocks the address longer.
const USUAL: Rebuke = Rebuke {
    memory: Duration::from_hours(24),
    block: usual_block,
};
/// What follows for the addresses of services, which many share.
const OF_SERVICES: Rebuke = Rebuke {
    memory: Duration::from_hours(1),
    block: |before| usual_block(before).min(LONGEST_OF_SERVICES),
};
const LONGEST_OF_SERVICES: Duration = Duration::from_mins(5);
/// Reports of a proxy within [`PROXY_MEMORY`] before the next one is told to the operator.
const QUIET_REPORTS: u32 = 10;
/// How long reports of a proxy are remembered after the last one.
const PROXY_MEMORY: Duration = Duration::from_hours(1);

/// 3, 9, 15, 21 minutes and so on.
fn usual_block(before: u32) -> Duration {
    Duration::from_mins(3 * (2 * u64::from(before) + 1))
}

/// How often those behind the proxies of services were reported. Services are few.
#[derive(Debug, Default)]
pub(crate) struct ProxyReports(Mutex<HashMap<IpAddr, (u32, Timestamp)>>);

impl ProxyReports {
    /// Counts a report; answers how many there were before.
    fn count(&self, proxy: IpAddr, now: Timestamp) -> u32 {
        let mut reports = self.0.lock();
        reports.retain(|_, (_, until)| now < *until);
        let (count, until) = reports.entry(proxy).or_insert((0, now));
        let before = *count;
        *count = before.saturating_add(1);
        *until = now + PROXY_MEMORY;
        before
    }
}

impl Engine {
    /// Holds something that was sent against the address that it came from: it is blocked for a while.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn report_address(&self, address: IpAddr) -> Result<()> {
        let rebuke = if self.config.service_addresses.contains(&address) {
            OF_SERVICES
        } else {
            USUAL
        };
        let journal = self.store.journal();
        let mark = journal
            .report_address(address.to_string(), rebuke, self.clock.now())
            .await?;
        self.blocks.learn(&mark);
        Ok(())
    }

    /// Counts a report against the proxy that the call came through, if it did. The operator is told of proxies through
    /// which much is reported.
    pub(crate) fn report_proxy(&self, call: &Call) {
        let Some(Proxy { address, owner }) = call.proxy else {
            return;
        };
        let before = self.proxy_reports.count(address, self.clock.now());
        if before > QUIET_REPORTS {
            self.notice_problem(format!(
                "Through the proxy {address} of account #{owner}, {} prompts were refused without an hour's pause.",
                before + 1
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_further_report_blocks_longer() {
        let minutes = |rebuke: Rebuke| [0, 1, 2, 3].map(|before| (rebuke.block)(before).as_secs() / 60);
        assert_eq!(minutes(USUAL), [3, 9, 15, 21]);
        assert_eq!(minutes(OF_SERVICES), [3, 5, 5, 5]);
    }

    #[test]
    fn reports_of_proxies_are_forgotten_after_an_hour() {
        let reports = ProxyReports::default();
        let proxy = IpAddr::from([192, 0, 2, 1]);
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let counts = [0, 30, 89, 149].map(|minute| reports.count(proxy, at(minute)));
        assert_eq!(counts, [0, 1, 2, 0]);
    }
}
