//! What a receiver that runs takes up of settings that were read again, and what waits until it is started anew. Owns which field is which.

use serde_json::Value;

use super::ReceiverSettings;

/// What a running receiver takes up: who may write where.
const TAKEN_UP: [&str; 4] = ["tokens", "certificates", "trusted-proxies", "identity-header"];
/// The files of TLS are taken up too, where there is TLS before and after.
const TLS: &str = "tls";

impl ReceiverSettings {
    /// The fields in which other settings differ from these and that a receiver which runs by these does not take up, from the
    /// receiver's: `gate`, `limits.size`.
    #[must_use]
    pub fn waits_for_restart(&self, others: &Self) -> Vec<String> {
        let mut fields = Vec::new();
        let (ours, theirs) = (of(self), of(others));
        for (field, value) in ours.as_object().into_iter().flatten() {
            let other = &theirs[field];
            if TAKEN_UP.contains(&field.as_str()) || (field == TLS && value.is_null() == other.is_null()) {
                continue;
            }
            differing(field.clone(), value, other, &mut fields);
        }
        fields
    }
}

fn of(settings: &ReceiverSettings) -> Value {
    serde_json::to_value(settings).expect("invariant: settings are names, numbers and texts")
}

fn differing(field: String, value: &Value, other: &Value, fields: &mut Vec<String>) {
    match (value, other) {
        _ if value == other => {}
        (Value::Object(values), Value::Object(others)) => {
            for (key, value) in values {
                differing(format!("{field}.{key}"), value, others.get(key).unwrap_or(&Value::Null), fields);
            }
        }
        _ => fields.push(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &Value) -> ReceiverSettings {
        serde_json::from_value(toml.clone()).unwrap()
    }

    #[test]
    fn each_field_that_is_not_taken_up_is_named_and_no_other() {
        let tls = serde_json::json!({ "cert": "a", "key": "b" });
        let before = settings(&serde_json::json!({ "root": "r", "tls": tls, "gate": { "repository": "code" } }));
        assert_eq!(before.waits_for_restart(&before), Vec::<String>::new());
        let after = serde_json::json!({
            "root": "r",
            "tls": { "cert": "c", "key": "d", "client-ca": "e", "crl": "f", "client-certs": "optional" },
            "identity-header": "x-name",
            "trusted-proxies": ["127.0.0.1"],
            "tokens": [{ "name": "t", "sha256": "0".repeat(64), "hosts": ["lab"] }],
            "certificates": [{ "name": "c", "hosts": ["lab"] }],
            "gate": { "repository": "code", "window": 7 },
            "limits": { "size": "1 MB" },
        });
        assert_eq!(before.waits_for_restart(&settings(&after)), ["gate.window", "limits.size"]);
        let bare = serde_json::json!({ "root": "s", "listen": "127.0.0.1:1", "allow-plain-http": true, "commit-header": "x-c" });
        let mut fields = before.waits_for_restart(&settings(&bare));
        fields.sort();
        assert_eq!(fields, ["allow-plain-http", "commit-header", "gate", "listen", "root", "tls"]);
    }
}
