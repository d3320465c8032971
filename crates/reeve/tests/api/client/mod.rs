mod account;
mod login;
