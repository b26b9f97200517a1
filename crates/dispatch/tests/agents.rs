//! What workers call themselves.

use muster_dispatch::image::BridgeAgent;
use proptest::prelude::*;

proptest! {
    /// Whatever software calls itself, it is something or nothing.
    #[test]
    fn no_agent_fails(text in r".{0,60}|AI Horde Worker( reGen)?:[0-9.:a-z-]{0,30}:.{0,10}") {
        let agent = BridgeAgent::parse(&text);
        let capabilities = agent.capabilities();
        prop_assert_eq!(capabilities, BridgeAgent::parse(&text).capabilities());
        let _ = agent.is_at_least(agent.name(), 1);
    }
}
