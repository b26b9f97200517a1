//! Stripe: active subscriptions to the products of the operator.

use std::collections::HashMap;

use muster_kudos::income;
use muster_protocol::Kudos;
use serde::Deserialize;

use super::{MOST_PAGES, ServiceError, Supporter, SupporterService, account};

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
    items: List<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: Price,
}

#[derive(Deserialize)]
struct Price {
    product: String,
}

#[derive(Deserialize)]
struct Product {
    name: String,
}

impl SupporterService {
    /// Everybody with an active subscription that names an account. (The reference also takes the account whose contact
    /// is the customer's e-mail address; but anybody can write anything there.)
    pub(super) async fn subscribers(&self) -> Result<Vec<Supporter>, ServiceError> {
        let mut subscribers = Vec::new();
        let mut products = HashMap::new();
        let mut last: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("status", "active"), ("limit", "100")];
            query.extend(last.as_deref().map(|last| ("starting_after", last)));
            let page: List<Subscription> = self.ask("/v1/subscriptions", &query).await?;
            last = page.data.last().map(|subscription| subscription.id.clone());
            for subscription in page.data {
                subscribers.extend(self.subscriber(subscription, &mut products).await?);
            }
            if !page.has_more || last.is_none() {
                return Ok(subscribers);
            }
        }
        Err(ServiceError::Endless)
    }

    async fn subscriber(
        &self,
        subscription: Subscription,
        products: &mut HashMap<String, Kudos>,
    ) -> Result<Option<Supporter>, ServiceError> {
        let metadata = &subscription.metadata;
        let named = ["horde_id", "horde"]
            .iter()
            .filter_map(|key| metadata.get(*key))
            .find(|text| !text.is_empty());
        let (Some(user), Some(item)) = (
            named.and_then(|text| account(text)),
            subscription.items.data.first(),
        ) else {
            return Ok(None);
        };
        let product = &item.price.product;
        let monthly_kudos = if let Some(kudos) = products.get(product) {
            *kudos
        } else {
            let kudos = self.worth(product).await?;
            products.insert(product.clone(), kudos);
            kudos
        };
        Ok(Some(Supporter {
            user,
            monthly_kudos,
            // Only patrons are on the list of sponsors.
            name: None,
            link: None,
        }))
    }

    /// What a product is worth every month.
    async fn worth(&self, product: &str) -> Result<Kudos, ServiceError> {
        let Product { name } = self.ask(&format!("/v1/products/{product}"), &[]).await?;
        Ok(income::stripe_month(&name).unwrap_or_else(|| {
            tracing::warn!(name, "no kudos are planned for a product");
            Kudos::ZERO
        }))
    }
}
