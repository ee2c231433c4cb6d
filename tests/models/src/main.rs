//! What waits for each other by hand in aiozfs, run under thousands of schedules.
//!
//! The files of the gate and of the pool of connections are compiled here as they are, but for
//! their lock, which is shuttle's: whenever somebody takes it, another may go on first. A schedule in
//! which somebody waits forever, or a count does not come out, is printed, and can be run again with
//! `shuttle::replay`. That tokio's channels hold is tokio's to show.

mod source;

fn main() {
    let models: [(&str, fn()); 2] = [
        ("gate", source::gate_model::model),
        ("pool", source::pool_model::model),
    ];
    for (name, model) in models {
        shuttle::check_random(model, 20_000);
        // Few changes of who runs, at places that matter: finds what needs a certain order.
        shuttle::check_pct(model, 20_000, 3);
        println!("{name}: holds under 40,000 schedules");
    }
}
