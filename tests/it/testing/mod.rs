//! Users test their programs with throwaway servers, as this program does.

mod examples;
mod first_steps;
mod kit;
mod throwaway_server;
