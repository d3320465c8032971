mod users;
mod login_as;
mod devices;
mod lookups;
mod moderation;
mod reeve;
mod user_data;
mod whois;
