//! What can be typed about a language model: the same flags wherever one is asked.

use clap::Args;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::{Count, DurationText, HttpUrl};
use highwater_kb::llm::LlmSettings;

/// The flags do not go together.
const FLAGS: &str = "HW-KB-039";

/// Which language model is asked, if one is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Language model")]
pub(crate) struct KbLlm {
    /// The endpoint of a language model, up to and without `/chat/completions`; else `$HIGHWATER_LLM_URL`. It speaks as OpenAI's does:
    /// llama.cpp, Ollama, vLLM, LM Studio, and most that can be paid.
    #[arg(long, value_name = "URL", env = "HIGHWATER_LLM_URL", hide_env = true)]
    pub(crate) llm_url: Option<String>,
    /// What the endpoint calls the model; else `$HIGHWATER_LLM_MODEL`.
    #[arg(long, value_name = "MODEL", env = "HIGHWATER_LLM_MODEL", hide_env = true)]
    pub(crate) llm_model: Option<String>,
    /// The environment variable that holds the endpoint's key; else `$HIGHWATER_LLM_KEY_ENV` names it. Without it none is sent.
    #[arg(long, value_name = "NAME", env = "HIGHWATER_LLM_KEY_ENV", hide_env = true)]
    pub(crate) llm_key_env: Option<String>,
    /// Ends the call once so many tokens are paid, of prompts and answers together. What was answered once costs nothing.
    #[arg(long, value_name = "N")]
    pub(crate) llm_tokens: Option<u64>,
    /// How many tokens the model reads and writes in one request [default: 8192]. A document that is longer is read in parts.
    #[arg(long, value_name = "N")]
    pub(crate) llm_context: Option<u64>,
    /// How long an answer is waited for [default: 5m].
    #[arg(long, value_name = "TIME")]
    pub(crate) llm_timeout: Option<DurationText>,
}

impl KbLlm {
    /// Whether a model was named by flags, and not by the environment alone.
    pub(crate) fn is_typed(&self) -> bool {
        let typed = |value: &Option<String>, name: &str| value.is_some() && *value != std::env::var(name).ok();
        let named = [
            (&self.llm_url, "HIGHWATER_LLM_URL"),
            (&self.llm_model, "HIGHWATER_LLM_MODEL"),
            (&self.llm_key_env, "HIGHWATER_LLM_KEY_ENV"),
        ];
        let more = self.llm_tokens.is_some() || self.llm_context.is_some() || self.llm_timeout.is_some();
        more || named.into_iter().any(|(value, name)| typed(value, name))
    }

    /// The model that is named; `None` where none is.
    ///
    /// # Errors
    /// Flags that do not go together, or say what cannot be.
    pub(crate) fn settings(&self) -> Result<Option<LlmSettings>, Diagnosis> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let refused = |flag: &str, message: String, next: &str| Diagnosis::refusal(FLAGS, message, next).at_field(flag);
        let (url, model) = match (said(&self.llm_url), said(&self.llm_model)) {
            (Some(url), Some(model)) => (url, model),
            (Some(_), None) => {
                let next = "name the model: `--llm-model MODEL`, or `HIGHWATER_LLM_MODEL` in the environment";
                return Err(refused("--llm-model", "found an endpoint and no model".to_owned(), next));
            }
            (None, Some(_)) => {
                let next = "name the endpoint: `--llm-url URL`, or `HIGHWATER_LLM_URL` in the environment";
                return Err(refused("--llm-url", "found a model and no endpoint".to_owned(), next));
            }
            (None, None) => return Ok(None),
        };
        let url: HttpUrl = url.parse().map_err(|_| {
            let message = "found what is no address, expected one that starts with http:// or https://";
            refused("--llm-url", message.to_owned(), "correct it, such as http://127.0.0.1:8080/v1")
        })?;
        let count = |flag: &'static str, number: Option<u64>| match number {
            Some(0) => Err(refused(flag, "found 0, expected at least 1".to_owned(), "correct it")),
            number => Ok(number.and_then(Count::new)),
        };
        let mut settings = LlmSettings::new(url, model);
        settings.key_env = said(&self.llm_key_env);
        settings.tokens = count("--llm-tokens", self.llm_tokens)?;
        settings.is_of_a_call = true;
        settings.context = self.llm_context.unwrap_or(settings.context);
        settings.timeout = self.llm_timeout.unwrap_or(settings.timeout);
        match settings.problems().into_iter().next() {
            Some(problem) => Err(refused(&format!("--llm-{}", problem.field), problem.message, &problem.next)),
            None => Ok(Some(settings)),
        }
    }
}
