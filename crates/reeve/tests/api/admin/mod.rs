mod users;
mod login_as;
