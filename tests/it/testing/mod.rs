//! Users test their programs with throwaway servers, as this program does.

mod examples;
mod first_steps;
mod throwaway_server;
