//! That every answer is one of those that the API's document has: its status, the code of its problem, its media type, its headers, the shape
//! of its body.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use highwater_episodes::receive::openapi;
use highwater_episodes::receive::settings::ReceiverSettings;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::rig::{Answer, Rig};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi(&ReceiverSettings::default()));
static SHAPES: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// The address of the document that a path is of.
fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let path = if path == "/v1/uploads/" { "/v1/uploads" } else { path };
    let parts: Vec<_> = path.split('/').collect();
    let fits = |known: &str| {
        let known: Vec<_> = known.split('/').collect();
        known.len() == parts.len()
            && known.iter().zip(&parts).all(|(known, part)| known == part || known.starts_with('{') && !part.is_empty())
    };
    DOCUMENT["paths"].as_object().unwrap().keys().map(String::as_str).find(|known| fits(known))
}

fn methods(template: &str) -> Vec<String> {
    let mut methods: Vec<_> =
        DOCUMENT["paths"][template].as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
    if methods.iter().any(|method| method == "GET") && !methods.iter().any(|method| method == "HEAD") {
        methods.push("HEAD".to_owned());
    }
    methods.sort();
    methods
}

/// Holds an answer against the document.
pub(crate) fn holds(method: &str, path: &str, answer: &Answer) {
    let asked = format!("{method} {path}: {} {:?} {:.300}", answer.status, answer.headers, answer.text());
    // What the server under the receiver refuses is no HTTP, and has no body.
    if matches!(answer.status, 400 | 414 | 431) && answer.header("content-type").is_none() {
        return assert!(answer.body.is_empty(), "{asked}");
    }
    let Some(template) = template(path) else {
        return assert_eq!(answer.status, 404, "{asked}");
    };
    let methods = methods(template);
    if !methods.iter().any(|known| known == method) {
        let mut allowed: Vec<_> = answer.header("allow").expect(&asked).split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!((answer.status, allowed), (405, methods.iter().map(String::as_str).collect()), "{asked}");
        return;
    }
    let operation = &DOCUMENT["paths"][template];
    let operation = match &operation[method.to_lowercase()] {
        Value::Null => &operation["get"],
        operation => operation,
    };
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "not in the document: {asked}");
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let header = DOCUMENT.pointer(&header["$ref"].as_str().unwrap()[1..]).unwrap();
        let told = answer.header(&name.to_lowercase());
        assert!(told.is_some() || header["required"] == false, "without {name}: {asked}");
    }
    if method == "HEAD" {
        return;
    }
    let Some(content) = response["content"].as_object() else {
        return assert!(answer.body.is_empty(), "{asked}");
    };
    let kind = answer.header("content-type").unwrap_or_default();
    let (kind, known) =
        content.iter().find(|(known, _)| kind == **known || kind.starts_with(&format!("{known};"))).expect(&asked);
    if !kind.ends_with("json") || template == "/openapi.json" {
        return;
    }
    let mut shapes = SHAPES.lock().unwrap();
    let shape = shapes.entry(format!("{method} {template} {}", answer.status)).or_insert_with(|| {
        let schema = json!({ "allOf": [known["schema"]], "components": DOCUMENT["components"] });
        Arc::new(jsonschema::validator_for(&schema).unwrap())
    });
    let shape = Arc::clone(shape);
    drop(shapes);
    if let Err(error) = shape.validate(&answer.json()) {
        panic!("{error}: {asked}");
    }
}

#[tokio::test]
async fn the_document_is_served_to_anybody() {
    let rig = Rig::new().await;
    let served = rig.connect().await.ask("GET", "/openapi.json", &[], b"").await;
    assert_eq!((served.status, served.json()), (200, DOCUMENT.clone()));
}

#[tokio::test]
async fn an_address_takes_the_methods_of_the_document_and_says_so_to_others() {
    let rig = Rig::new().await;
    let id = "0".repeat(32);
    for template in DOCUMENT["paths"].as_object().unwrap().keys() {
        let path = template.replace("{host}", "lab").replace("{episode}", "ep").replace("{upload}", &id);
        for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            // Each of them is held against the document.
            let answer = rig.ask(method, &path, &[], b"").await;
            let is_known = methods(template).iter().any(|known| known == method);
            assert_eq!(is_known, answer.status != 405, "{method} {path}: {answer:?}");
        }
    }
    // What the receiver has and the document does not would be found nowhere else.
    let source = include_str!("../../../src/receive.rs");
    for route in source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(template(&route.replace("{id}", &id).replace(['{', '}'], "")).is_some(), "{route}");
    }
}

#[tokio::test]
async fn headers_that_a_deployment_names_otherwise_are_in_its_document() {
    let rig =
        Rig::with(|settings| settings.commit_header = "X-Cis490-Code-Commit".to_owned().try_into().unwrap()).await;
    let served = rig.connect().await.ask("GET", "/openapi.json", &[], b"").await.json();
    assert_eq!(served["components"]["parameters"]["commit"]["name"], "x-cis490-code-commit");
}
