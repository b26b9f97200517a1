//! API keys: how they are made. Only their hashes are kept (`muster_store::ApiKeyHash`).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;

/// A new API key: sixteen random bytes as 22 URL-safe characters, the length that clients expect.
pub(crate) fn new_api_key(rng: &mut impl Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn keys_have_the_length_that_clients_check() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let (first, second) = (new_api_key(&mut rng), new_api_key(&mut rng));
        assert_eq!(first.len(), 22);
        assert_ne!(first, second);
        assert!(
            first
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
    }
}
