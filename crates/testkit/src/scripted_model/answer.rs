//! Encodes an answer for each API, as one document or as a stream of events.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::request::Answer;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A model API.
#[derive(Clone, Copy, Debug)]
pub(super) enum Api {
    Messages,
    Responses,
    ChatCompletions,
    GenerateContent,
    StreamGenerateContent,
}

impl Api {
    pub(super) fn of_path(path: &str) -> Option<Api> {
        let apis = [
            ("/messages", Api::Messages),
            ("/responses", Api::Responses),
            ("/chat/completions", Api::ChatCompletions),
            (":generateContent", Api::GenerateContent),
            (":streamGenerateContent", Api::StreamGenerateContent),
        ];
        apis.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, api)| api)
    }

    /// Whether the path alone requests a stream.
    pub(super) fn always_streams(self) -> bool {
        matches!(self, Api::StreamGenerateContent)
    }

    /// Encodes the answer as one document.
    pub(super) fn whole(self, answer: &Answer, model: &str) -> Value {
        match self {
            Api::Messages => message(answer, model),
            Api::Responses => response(&item(answer), model),
            Api::ChatCompletions => completion(answer, model),
            Api::GenerateContent | Api::StreamGenerateContent => content(answer),
        }
    }

    /// Encodes the answer as events.
    pub(super) fn stream(self, answer: &Answer, model: &str) -> String {
        match self {
            Api::Messages => message_events(answer, model),
            Api::Responses => response_events(answer, model),
            Api::ChatCompletions => completion_events(answer, model),
            Api::GenerateContent | Api::StreamGenerateContent => format!("data: {}\n\n", content(answer)),
        }
    }
}

fn id(prefix: &str) -> String {
    format!("{prefix}_{:020}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Encodes events, with their kind both on the `event` line and in the data.
fn events(list: Vec<(&str, Value)>) -> String {
    let mut text = String::new();
    for (number, (kind, mut data)) in list.into_iter().enumerate() {
        data["type"] = kind.into();
        data["sequence_number"] = number.into();
        let _ = write!(text, "event: {kind}\ndata: {data}\n\n");
    }
    text
}

fn message(answer: &Answer, model: &str) -> Value {
    let (content, stop) = match answer {
        Answer::Say(text) => (json!({"type": "text", "text": text}), "end_turn"),
        Answer::Call { tool, arguments, .. } => {
            (json!({"type": "tool_use", "id": id("toolu"), "name": tool, "input": arguments}), "tool_use")
        }
    };
    let usage = json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0});
    json!({"id": id("msg"), "type": "message", "role": "assistant", "model": model, "content": [content],
        "stop_reason": stop, "stop_sequence": null, "usage": usage})
}

fn message_events(answer: &Answer, model: &str) -> String {
    let whole = message(answer, model);
    let (mut head, mut block) = (whole.clone(), whole["content"][0].clone());
    head["content"] = json!([]);
    head["stop_reason"] = Value::Null;
    let delta = match answer {
        Answer::Say(text) => {
            block["text"] = "".into();
            json!({"type": "text_delta", "text": text})
        }
        Answer::Call { arguments, .. } => {
            block["input"] = json!({});
            json!({"type": "input_json_delta", "partial_json": arguments.to_string()})
        }
    };
    let end = json!({"stop_reason": whole["stop_reason"], "stop_sequence": null});
    events(vec![
        ("message_start", json!({"message": head})),
        ("content_block_start", json!({"index": 0, "content_block": block})),
        ("content_block_delta", json!({"index": 0, "delta": delta})),
        ("content_block_stop", json!({"index": 0})),
        ("message_delta", json!({"delta": end, "usage": whole["usage"]})),
        ("message_stop", json!({})),
    ])
}

fn item(answer: &Answer) -> Value {
    match answer {
        Answer::Say(text) => {
            json!({"type": "message", "id": id("msg"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
        }
        Answer::Call { tool, namespace, arguments } => {
            let mut call = json!({"type": "function_call", "id": id("fc"), "call_id": id("call"),
            "name": tool, "arguments": arguments.to_string(), "status": "completed"});
            if !namespace.is_null() {
                call["namespace"] = namespace.clone();
            }
            call
        }
    }
}

fn response(item: &Value, model: &str) -> Value {
    let usage = json!({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}});
    json!({"id": id("resp"), "object": "response", "status": "completed", "model": model, "output": [item],
        "usage": usage})
}

fn response_events(answer: &Answer, model: &str) -> String {
    let item = item(answer);
    let done = response(&item, model);
    let mut begun = done.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let mut list = vec![
        ("response.created", json!({"response": begun})),
        ("response.output_item.added", json!({"output_index": 0, "item": item})),
    ];
    if let Answer::Say(text) = answer {
        let delta = json!({"item_id": item["id"], "output_index": 0, "content_index": 0, "delta": text});
        list.push(("response.output_text.delta", delta));
    }
    list.push(("response.output_item.done", json!({"output_index": 0, "item": item})));
    list.push(("response.completed", json!({"response": done})));
    events(list)
}

fn completion(answer: &Answer, model: &str) -> Value {
    let (message, stop) = match answer {
        Answer::Say(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Answer::Call { tool, arguments, .. } => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": id("call"), "type": "function", "function": function});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
    };
    json!({"id": id("chatcmpl"), "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
}

fn completion_events(answer: &Answer, model: &str) -> String {
    let whole = completion(answer, model);
    let choice = &whole["choices"][0];
    let mut chunk = whole.clone();
    chunk["object"] = "chat.completion.chunk".into();
    chunk["choices"] = json!([{"index": 0, "delta": choice["message"], "finish_reason": null}]);
    let mut last = chunk.clone();
    last["choices"] = json!([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]);
    chunk["usage"] = Value::Null;
    format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n")
}

fn content(answer: &Answer) -> Value {
    let part = match answer {
        Answer::Say(text) => json!({"text": text}),
        Answer::Call { tool, arguments, .. } => json!({"functionCall": {"name": tool, "args": arguments}}),
    };
    json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}})
}
