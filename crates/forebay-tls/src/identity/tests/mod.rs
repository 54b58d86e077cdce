mod files;
mod names;
mod order;
mod refusals;
mod reload;
mod secrets;
