//! What pricing one image costs.

#![allow(missing_docs)] // the macros below make undocumented items

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use muster_kudos::image::{ImageJob, ImagePricing, PricingNetwork, SourceImage, features};
use muster_protocol::image::PostProcessor;

fn price(c: &mut Criterion) {
    let pricing = ImagePricing::bundled();
    let plain = ImageJob::default();
    let busy = ImageJob {
        width: 1024,
        height: 1536,
        hires_fix: true,
        source: Some(SourceImage::default()),
        denoising_strength: Some(0.6),
        post_processing: vec![PostProcessor::GFPGAN, PostProcessor::RealESRGAN_x4plus],
        ..ImageJob::default()
    };
    c.bench_function("price of a plain image", |b| {
        b.iter(|| pricing.base_price(black_box(&plain)));
    });
    c.bench_function("price of a busy image", |b| {
        b.iter(|| pricing.base_price(black_box(&busy)));
    });
}

fn parts(c: &mut Criterion) {
    let network = PricingNetwork::bundled();
    let job = ImageJob::default();
    let inputs = features::encode(&job);
    c.bench_function("encoding", |b| b.iter(|| features::encode(black_box(&job))));
    c.bench_function("network", |b| b.iter(|| network.seconds(black_box(&inputs))));
    c.bench_function("loading the bundled network", |b| b.iter(PricingNetwork::bundled));
}

criterion_group!(benches, price, parts);
criterion_main!(benches);
