mod account;
mod login;
mod devices;
