//! What the protocol's schema demands of an answer, checked by hand.

use highwater_oai::protocol::{Datestamp, NAMESPACE, Verb};
use roxmltree::{Document, Node};

/// Ends the test if an answer is not as the schema demands.
pub(crate) fn check(xml: &str) {
    let document = Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let root = document.root_element();
    is(root, "OAI-PMH");
    let children = elements(root);
    let [date, request, body @ ..] = &children[..] else { panic!("too little: {xml}") };
    is(*date, "responseDate");
    let date = Datestamp::parse(text(*date)).unwrap();
    assert_eq!(date.to_string().len(), "2026-11-20T00:00:00Z".len());
    is(*request, "request");
    assert!(text(*request).starts_with("http://"));
    if body[0].tag_name().name() == "error" {
        errors(body, *request);
        return;
    }
    let [body] = body else { panic!("more than one body: {xml}") };
    let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == body.tag_name().name()).unwrap();
    is(*body, verb.as_str());
    assert_eq!(request.attribute("verb"), Some(verb.as_str()));
    let children = elements(*body);
    match verb {
        Verb::Identify => identify(&children),
        Verb::ListMetadataFormats => {
            each(&children, "metadataFormat", &["metadataPrefix", "schema", "metadataNamespace"])
        }
        Verb::ListSets => each(&children, "set", &["setSpec", "setName"]),
        Verb::GetRecord => {
            assert_eq!(children.len(), 1);
            record(children[0]);
        }
        Verb::ListIdentifiers => list(&children, header),
        Verb::ListRecords => list(&children, record),
    }
}

fn errors(errors: &[Node<'_, '_>], request: Node<'_, '_>) {
    let codes = [
        "cannotDisseminateFormat",
        "idDoesNotExist",
        "badArgument",
        "badVerb",
        "noMetadataFormats",
        "noRecordsMatch",
        "badResumptionToken",
        "noSetHierarchy",
    ];
    for error in errors {
        is(*error, "error");
        let code = error.attribute("code").unwrap();
        assert!(codes.contains(&code), "{code}");
        let blames_arguments = ["badArgument", "badVerb"].contains(&code);
        assert_eq!(request.attributes().len() == 0, blames_arguments, "the request is repeated unless it is malformed");
    }
}

fn identify(children: &[Node<'_, '_>]) {
    let names: Vec<&str> = children.iter().map(|child| child.tag_name().name()).collect();
    let order = [
        "repositoryName",
        "baseURL",
        "protocolVersion",
        "adminEmail",
        "earliestDatestamp",
        "deletedRecord",
        "granularity",
        "compression",
    ];
    assert_eq!(names, order);
    assert_eq!(text(children[2]), "2.0");
    assert!(["no", "transient", "persistent"].contains(&text(children[5])));
    assert!(["YYYY-MM-DD", "YYYY-MM-DDThh:mm:ssZ"].contains(&text(children[6])));
}

fn each(items: &[Node<'_, '_>], name: &str, parts: &[&str]) {
    assert!(!items.is_empty());
    for item in items {
        is(*item, name);
        let names: Vec<&str> = elements(*item).iter().map(|part| part.tag_name().name()).collect();
        assert_eq!(names, parts);
    }
}

fn list(children: &[Node<'_, '_>], item: fn(Node<'_, '_>)) {
    let (items, token) = match children {
        [items @ .., last] if last.tag_name().name() == "resumptionToken" => (items, Some(last)),
        items => (items, None),
    };
    assert!(!items.is_empty(), "a list has an item");
    items.iter().for_each(|node| item(*node));
    if let Some(token) = token {
        is(*token, "resumptionToken");
        for attribute in token.attributes() {
            match attribute.name() {
                "expirationDate" => drop(Datestamp::parse(attribute.value()).unwrap()),
                "completeListSize" => assert!(attribute.value().parse::<u64>().unwrap() > 0),
                "cursor" => drop(attribute.value().parse::<u64>().unwrap()),
                other => panic!("{other}"),
            }
        }
    }
}

fn header(node: Node<'_, '_>) {
    is(node, "header");
    assert!(node.attributes().all(|a| a.name() == "status" && a.value() == "deleted"));
    let names: Vec<&str> = elements(node).iter().map(|part| part.tag_name().name()).collect();
    assert_eq!(names[..2], ["identifier", "datestamp"]);
    assert!(names[2..].iter().all(|name| *name == "setSpec"));
}

fn record(node: Node<'_, '_>) {
    is(node, "record");
    match elements(node)[..] {
        [head] => header(head),
        [head, metadata] => {
            header(head);
            assert_eq!(head.attribute("status"), None, "a deleted record has no metadata");
            is(metadata, "metadata");
            assert_eq!(elements(metadata).len(), 1);
        }
        _ => panic!("a record is a header and metadata"),
    }
}

fn is(node: Node<'_, '_>, name: &str) {
    assert!(node.has_tag_name((NAMESPACE, name)), "{:?} is no {name}", node.tag_name());
}

fn text<'a>(node: Node<'a, '_>) -> &'a str {
    node.text().unwrap_or_default()
}

fn elements<'a, 'input>(node: Node<'a, 'input>) -> Vec<Node<'a, 'input>> {
    node.children().filter(Node::is_element).collect()
}
