//! `serve`: the page, the figures and the HTTP API, for as long as nobody ends it.
//!
//! Promises: reading changes nothing; an apply asks the same guards as the command, with nothing allowed beyond
//! `cache.yaml`, and there is one at a time; the token is in nothing that is said.

mod access;
mod apply;
mod look;

use std::sync::Arc;

use access::Access;
use apply::Applies;
use look::Looks;

use super::args::Serve;
use super::context::Context;
use super::error::Failure;
use super::signals;
use crate::exit::Exit;
use crate::render::api::Problem;
use crate::render::api::openapi::{self, HTML, JSON, METRICS, PROBLEM, ROUTES};
use crate::render::overview::{self, Overview};
use crate::render::{html, json, prometheus};
use crate::sys::file;
use crate::sys::serve::{Answer, Asked, Door, Limits, Stop, serve};
use crate::sys::token::Token;

/// Most bytes of a file with a token.
const MAX_TOKEN: u64 = 64 << 10;

pub(super) fn run(context: &Context, args: &Serve) -> Result<Exit, Failure> {
    let token = token(context, args)?;
    let is_closed = !args.listen.ip().is_loopback();
    if is_closed && token.is_none() {
        let text = format!("listen on `{}`: whoever reaches it could read", args.listen);
        return Err(Failure::new(Exit::Usage, text).help(
            "name a token with --token-env or --token-file; loopback (127.0.0.1) needs none",
        ));
    }
    let looks = Looks::new(context.clone(), args);
    // What is wrong with cache.yaml is better said now than to the first who asks.
    looks.read()?;
    let door = Door::open(args.listen).map_err(|error| Failure::of(&error))?;
    let stop = Stop::default();
    let rooms = Arc::new(Rooms {
        access: Access {
            token,
            is_closed,
            names: args.host.clone(),
        },
        looks,
        applies: Applies::default(),
    });
    let (told, stopping) = (stop.clone(), Arc::clone(&rooms));
    let output = context.output;
    let watch = signals::watch_and(move || {
        told.stop();
        if stopping.applies.stop() {
            output.must_say("\nStopping after the current objects; once more ends at once.\n");
        }
    });
    // Before this line nobody is let in, after it everybody is.
    output.result(&format!("http://{}/\n", door.address()))?;
    if is_closed {
        output.note("What is sent, the token too, can be read on the way: put something with TLS before it.\n");
    }
    let answering = Arc::clone(&rooms);
    serve(door, Limits::STANDARD, &stop, move |asked| {
        answering.answer(&asked)
    })
    .map_err(|error| Failure::of(&error))?;
    drop(watch);
    Ok(rooms.applies.exit())
}

/// The token that was named, if one was.
fn token(context: &Context, args: &Serve) -> Result<Option<Token>, Failure> {
    let (text, place) = if let Some(name) = &args.token_env {
        let place = format!("the environment variable `{name}`");
        (context.host.filled(name).map(str::to_owned), place)
    } else if let Some(path) = &args.token_file {
        let path = context.host.folder.join(path);
        let bytes = file::read_if_there(path.as_std_path(), MAX_TOKEN)
            .map_err(|error| Failure::of(&error))?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        (text, format!("the file `{path}`"))
    } else {
        return Ok(None);
    };
    let token = text.as_deref().and_then(Token::new).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("take the token of {place}: there is none"),
        )
        .help("a token is one line of letters, digits and signs, without spaces")
    })?;
    token.hide(&context.host);
    Ok(Some(token))
}

/// What the server answers from.
struct Rooms {
    access: Access,
    looks: Looks,
    applies: Applies,
}

impl Rooms {
    fn answer(&self, asked: &Asked) -> Answer {
        tracing::info!("{} {}", asked.method, asked.path);
        match self.answered(asked) {
            Ok(answer) => answer,
            Err(problem) => refused(&problem),
        }
    }

    fn answered(&self, asked: &Asked) -> Result<Answer, Problem> {
        let method = match asked.method.as_str() {
            "HEAD" => "GET",
            other => other,
        };
        // Who may not ask does not learn either what there is.
        self.access.check(asked, method != "GET")?;
        let mut methods = ROUTES
            .iter()
            .filter(|route| route.path == asked.path)
            .map(|route| route.method)
            .peekable();
        if methods.peek().is_none() {
            let why = "there is no such thing here";
            return Err(
                Problem::new(404, "not found", why).help("GET /openapi.json tells what there is")
            );
        }
        if !methods.any(|one| one == method) {
            let why = "that cannot be done with it";
            return Err(
                Problem::new(405, "not that way", why).help("GET /openapi.json tells what can")
            );
        }
        match (method, asked.path.as_str()) {
            ("GET", "/") => {
                let seen = self.looks.look()?;
                let last = self.applies.state().last;
                let page = overview::page(&Overview {
                    status: Some(&seen.status),
                    report: seen.report.as_ref().ok(),
                    plan: Some(&seen.plan),
                    applied: last.as_ref(),
                    advice: &[],
                    home: self.looks.context.host.home.as_str(),
                });
                Ok(answer(HTML, html::page(&page)))
            }
            ("GET", "/metrics") => {
                let seen = self.looks.look()?;
                let mut all = prometheus::Exposition::default();
                prometheus::status(&seen.status, &mut all);
                if let Ok(report) = &seen.report {
                    prometheus::report(report, &mut all);
                }
                Ok(answer(METRICS, all.into_text()))
            }
            ("GET", "/api/v1/status") => Ok(answer(JSON, json::pretty(&self.looks.look()?.status))),
            ("GET", "/api/v1/report") => match &self.looks.look()?.report {
                Ok(report) => Ok(answer(JSON, json::pretty(report))),
                Err(why) => Err(Problem::new(500, "it failed", format!("failed to {why}"))),
            },
            ("GET", "/api/v1/plan") => Ok(answer(JSON, json::plan(&self.looks.look()?.plan))),
            ("GET", "/api/v1/apply") => Ok(answer(JSON, json::pretty(&self.applies.state()))),
            ("POST", "/api/v1/apply") => {
                let request = apply::read(asked)?;
                let applied = self.applies.apply(&self.looks, &request)?;
                let status = if applied.exit == Exit::Done.code() {
                    200
                } else {
                    500
                };
                Ok(Answer {
                    status,
                    ..answer(JSON, json::pretty(&applied))
                })
            }
            ("GET", "/openapi.json") => Ok(answer(JSON, openapi::text())),
            _ => Err(Problem::new(
                404,
                "not found",
                "there is no such thing here",
            )),
        }
    }
}

fn answer(media: &'static str, body: String) -> Answer {
    let headers = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        // The page has its style in itself, and nothing else.
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    Answer {
        status: 200,
        media,
        body,
        headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
    }
}

fn refused(problem: &Problem) -> Answer {
    let mut answer = Answer {
        status: problem.status,
        ..answer(PROBLEM, json::pretty(problem))
    };
    if problem.status == 401 {
        let scheme = "Bearer realm=\"nanna-cache\"".to_owned();
        answer.headers.push(("www-authenticate", scheme));
    }
    answer
}
