//! `POST generate/async` and `POST generate/pop`: source images, from the client to the worker.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use muster_engine::outbound::Reach;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::async_post::{PATH, kudos, submit, with_client};
use crate::support::{Setup, TestServer, changed, encoded, picture, picture_bytes, plain_request, worker};

/// A worker whose software takes source images, but not as addresses.
const OLD_AGENT: &str = "AI Horde Worker:13:https://example.org";

/// How many source images are stored.
fn stored(server: &TestServer) -> usize {
    std::fs::read_dir(server.directory().join("blobs/source")).map_or(0, Iterator::count)
}

/// A picture in base64 that is transparent in places.
fn transparent() -> String {
    let picture: DynamicImage = RgbaImage::from_pixel(16, 16, Rgba([1, 2, 3, 0])).into();
    let mut bytes = Vec::new();
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    STANDARD.encode(bytes)
}

/// What is behind an address, which must be a WebP picture of 16 pixels a side.
async fn assert_picture(server: &TestServer, url: &Value) {
    let answer = server.send(Method::GET, url.as_str().unwrap(), &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.starts_with("RIFF"), "{}", answer.text);
}

/// Answers every connection with the same bytes and tells where.
async fn serve(status: &'static str, headers: String, body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n");
            let _ = connection.write_all(head.as_bytes()).await;
            let _ = connection.write_all(&body).await;
        }
    });
    address
}

#[tokio::test]
async fn a_worker_gets_the_address_of_the_source_image() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let source = json!({"source_image": encoded(ImageFormat::Png), "params": {"denoising_strength": 0.6}});
    submit(&server, &client, source).await.ok(202);
    assert_eq!(stored(&server), 1);
    let popped = server.popped(&owner, "Keeper").await;
    assert_eq!(popped["source_processing"], "img2img");
    assert_eq!(popped["payload"]["denoising_strength"], 0.6);
    assert_eq!(
        (&popped["source_mask"], &popped["extra_source_images"]),
        (&Value::Null, &Value::Null)
    );
    assert_picture(&server, &popped["source_image"]).await;
    let answer = server.deliver(&owner, popped["id"].as_str().unwrap()).await;
    answer.ok(200);
}

#[tokio::test]
async fn older_workers_get_the_picture_itself() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    submit(
        &server,
        &client,
        json!({"source_image": encoded(ImageFormat::Jpeg)}),
    )
    .await
    .ok(202);
    let old = changed(worker("Keeper"), json!({"bridge_agent": OLD_AGENT}));
    let popped = server.pop(&owner, &old).await.ok(200);
    let webp = STANDARD.decode(popped["source_image"].as_str().unwrap()).unwrap();
    assert!(webp.starts_with(b"RIFF"));
}

#[tokio::test]
async fn a_mask_travels_along() {
    let (server, client) = with_client().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let model = json!({"models": ["stable_diffusion_inpainting"]});
    let request =
        json!({"source_image": picture(), "source_mask": picture(), "source_processing": "inpainting"});
    submit(&server, &client, changed(model.clone(), request))
        .await
        .ok(202);
    assert_eq!(stored(&server), 2);
    let popped = server
        .pop(&owner, &changed(worker("Keeper"), model))
        .await
        .ok(200);
    assert_eq!(popped["source_processing"], "inpainting");
    assert_picture(&server, &popped["source_image"]).await;
    assert_picture(&server, &popped["source_mask"]).await;
}

#[tokio::test]
async fn inpainting_needs_a_mask_or_transparency() {
    let (server, client) = with_client().await;
    let request = |image| json!({"source_image": image, "source_processing": "inpainting"});
    submit(&server, &client, request(picture()))
        .await
        .refused(400, "InpaintingMissingMask");
    assert_eq!(stored(&server), 0);
    submit(&server, &client, request(transparent())).await.ok(202);
    let outpainting = json!({"source_image": picture(), "source_processing": "outpainting"});
    submit(&server, &client, outpainting).await.ok(202);
}

#[tokio::test]
async fn extra_source_images_are_for_remix() {
    let (server, client) = with_client().await;
    let trusted = server.trusted("trusted", 1000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    let model = json!({"models": ["Stable Cascade 1.0"]});
    let extra = |strengths: &[f64]| {
        let images: Vec<Value> = strengths
            .iter()
            .map(|strength| json!({"image": picture(), "strength": strength}))
            .collect();
        let request =
            json!({"source_image": picture(), "source_processing": "remix", "extra_source_images": images});
        changed(model.clone(), request)
    };
    submit(&server, &client, extra(&[1.0, 0.5]))
        .await
        .refused(400, "MoreThanMinExtraSourceImage.");
    submit(&server, &trusted, extra(&[1.0; 6]))
        .await
        .refused(400, "TooManyExtraSourceImages.");
    let plain = json!({"models": ["Stable Cascade 1.0"], "source_processing": "img2img"});
    submit(&server, &client, changed(extra(&[1.0]), plain))
        .await
        .refused(400, "InvalidExtraSourceImages.");
    assert_eq!(stored(&server), 0);

    submit(&server, &trusted, extra(&[1.0, 0.5])).await.ok(202);
    assert_eq!(
        kudos(&server, &trusted).await,
        987.0,
        "a tax of 3, and 5 for each"
    );
    let popped = server
        .pop(&owner, &changed(worker("Keeper"), model.clone()))
        .await
        .ok(200);
    let images = popped["extra_source_images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(
        (&images[0]["strength"], &images[1]["strength"]),
        (&json!(1.0), &json!(0.5))
    );
    for image in images {
        assert_picture(&server, &image["image"]).await;
    }
}

#[tokio::test]
async fn a_wrong_picture_is_refused_and_nothing_stays() {
    let (server, client) = with_client().await;
    let large: DynamicImage = image::RgbImage::new(3073, 3072).into();
    let mut large_png = Vec::new();
    large
        .write_to(&mut std::io::Cursor::new(&mut large_png), ImageFormat::Png)
        .unwrap();
    let text = STANDARD.encode("hello");
    for (image, rc) in [
        ("A", "ImageValidationFailed"),
        ("", "ImageValidationFailed"),
        (text.as_str(), "ImageValidationFailed"),
        (&STANDARD.encode(large_png), "SourceImageResolutionExceeded"),
        ("http://127.0.0.1:1/picture.png", "ImageValidationFailed"),
        ("http://localhost:1/picture.png", "ImageValidationFailed"),
        ("https://", "ImageValidationFailed"),
    ] {
        submit(&server, &client, json!({"source_image": image}))
            .await
            .refused(400, rc);
        // The first picture is fine, the second one is not.
        let mask = json!({"source_image": picture(), "source_mask": image});
        submit(&server, &client, mask).await.refused(400, rc);
    }
    assert_eq!(stored(&server), 0);
    assert_eq!(server.engine.requests_in_memory(), 0);
    assert_eq!(kudos(&server, &client).await, 1000.0);
}

#[tokio::test]
async fn a_data_uri_is_read_too() {
    let (server, client) = with_client().await;
    let image = format!("data:image/webp;base64,{}", picture());
    submit(&server, &client, json!({"source_image": image}))
        .await
        .ok(202);
}

#[tokio::test]
async fn pictures_behind_addresses_are_fetched() {
    let server = TestServer::with(Setup {
        reach: Reach::Anywhere,
        ..Setup::default()
    })
    .await;
    let client = server.user("client", 1000).await.api_key;
    let owner = server.trusted("owner", 0).await.api_key;
    let png = picture_bytes(ImageFormat::Png);
    let there = serve("404 Not Found", String::new(), png).await;
    let moved = serve("302 Found", format!("location: http://{there}/\r\n"), vec![]).await;
    submit(
        &server,
        &client,
        json!({"source_image": format!("http://{moved}/picture")}),
    )
    .await
    .ok(202);
    let popped = server.popped(&owner, "Keeper").await;
    assert_picture(&server, &popped["source_image"]).await;

    for (headers, body, rc) in [
        ("content-length: 5120001\r\n", vec![], "SourceImageSizeExceeded"),
        ("", vec![0; 5_120_001], "SourceImageSizeExceeded"),
        (
            "content-length: 5\r\n",
            b"hello".to_vec(),
            "SourceImageUrlInvalid",
        ),
        ("content-length: 0\r\n", vec![], "SourceImageUnreadable"),
        ("", b"\x89PNG\r\n\x1a\n....".to_vec(), "SourceImageUnreadable"),
        ("content-length: many\r\n", vec![], "ImageValidationFailed"),
    ] {
        let address = serve("200 OK", headers.to_owned(), body).await;
        let source = json!({"source_image": format!("http://{address}/")});
        submit(&server, &client, source).await.refused(400, rc);
    }
}

#[tokio::test]
async fn a_source_image_makes_a_picture_dearer() {
    let (server, client) = with_client().await;
    let quote = async |changes: Value| {
        let body = changed(changed(plain_request(), changes), json!({"dry_run": true}));
        server.post(PATH, &client, &body).await.ok(200)["kudos"]
            .as_f64()
            .unwrap()
    };
    let plain = quote(json!({})).await;
    // Nothing is fetched or decoded for a price.
    let sourced = quote(json!({"source_image": "https://example.org/a.webp"})).await;
    assert!(sourced > plain, "{sourced} {plain}");
    assert_eq!(stored(&server), 0);
}

#[tokio::test]
async fn each_rule_about_source_images() {
    let (server, client) = with_client().await;
    let source = json!({"source_image": picture()});
    let with = |changes: Value| changed(source.clone(), changes);
    let control = |kind: &str| json!({"params": {"control_type": kind}});
    let of = |model: &str, changes: Value| changed(json!({"models": [model]}), changes);
    for (changes, rc) in [
        (json!({"source_mask": picture()}), "SourceMaskUnnecessary"),
        (
            of("stable_diffusion_2.1", control("normal")),
            "ControlNetUnsupported",
        ),
        (
            of("stable_diffusion_2_512", control("hough")),
            "ControlNetUnsupported",
        ),
        (of("pix2pix", control("canny")), "ControlNetUnsupported"),
        (control("canny"), "ControlNetSourceMissing"),
        (
            with(changed(
                control("canny"),
                json!({"source_processing": "inpainting"}),
            )),
            "ControlNetInpaintingMismatch",
        ),
        (with(of("SDXL 1.0", control("canny"))), "ControlNetMismatch"),
        (
            with(of("Stable Cascade 1.0", control("canny"))),
            "ControlNetMismatch",
        ),
        (with(of("mine [Flux]", control("canny"))), "ControlNetMismatch"),
        (with(of("mine [Qwen]", control("canny"))), "ControlNetMismatch"),
        (with(of("mine [ZImage]", control("canny"))), "ControlNetMismatch"),
        (
            with(json!({"extra_source_images": [{"image": picture()}], "params": {"transparent": true}})),
            "InvalidTransparencyImg2Img",
        ),
        (
            with(json!({"params": {"transparent": true, "control_type": "canny"}})),
            "InvalidTransparencyCN",
        ),
        (with(json!({"source_processing": "remix"})), "InvalidRemix"),
        (
            with(json!({"extra_source_images": [{"image": picture()}]})),
            "InvalidExtraSourceImages.",
        ),
        (
            of("Stable Diffusion 2 Depth", json!({})),
            "SourceImageRequiredForModel",
        ),
    ] {
        submit(&server, &client, changes).await.refused(400, rc);
    }
    for allowed in [
        with(control("canny")),
        with(json!({"params": {"transparent": true}})),
        with(of("pix2pix", json!({}))),
        with(of("stable_diffusion_2.1", control("canny"))),
    ] {
        submit(&server, &client, allowed).await.ok(202);
    }
}
