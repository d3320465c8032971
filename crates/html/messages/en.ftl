# What every page has.
skip = Skip to the content
languages = Languages
menu = Your account
signed-in-as = Signed in as
logout = Sign out
cancel = Cancel
save = Save
none = None
problems = Something needs your attention
problem-title = Problem:

# Signing in and out.
login-title = Sign in
login-username = User name or e-mail address
login-username-hint = For example alice, or your full user ID.
login-password = Password
login-submit = Sign in
login-no-passwords = Signing in with a password is switched off on this server.
login-wrong = The user name or the password is wrong.
login-missing-name = Enter your user name or e-mail address.
login-missing-password = Enter your password.
login-locked = This account is locked. Ask the people who run this server.
login-deactivated = This account was deactivated.
login-expired = The validity of this account has ended. Ask the people who run this server.
logout-title = Sign out of this browser?
logout-about = Your clients stay signed in. You can end their sessions on the page of your sessions.

# The account.
account-title = Overview
account-hello = Hello, { $name }
account-user-id = User ID
account-name = Display name
account-change-name = Change
account-emails = E-mail addresses
account-change-emails = Change
account-sessions = Sessions
account-sessions-count =
    { $count ->
        [one] { $count } session
       *[other] { $count } sessions
    }
account-show-sessions = Show

profile-title = Profile
profile-name = Display name
profile-name-hint = Other people see this name. Without one, they see your user ID.
profile-saved = Your profile was saved.
profile-too-long = The name is too long: it can have 256 characters.

# The password, also where it is asked for again.
password-title = Password
password-present = Your present password
password-new = New password
password-again = New password, once more
password-rules =
    { $length ->
        [0] The password must not be your name.
        [one] The password needs at least one character, and must not be your name.
       *[other] The password needs at least { $length } characters, and must not be your name.
    }
password-rule-digit = It needs a digit.
password-rule-symbol = It needs a character that is neither a letter nor a digit.
password-rule-uppercase = It needs an uppercase letter.
password-rule-lowercase = It needs a lowercase letter.
password-end-sessions = Sign out of all other browsers and clients
password-submit = Change the password
password-changed = Your password was changed.
password-required = You must change your password before you can do anything else here.
password-not-allowed = Passwords cannot be changed on this server.
password-wrong = The password is wrong.
password-missing = Enter your present password.
password-missing-new = Enter a new password.
password-differs = The two entries of the new password differ.
password-too-long = The password is too long: it can have 512 characters.
password-too-short = The password is too short: it needs { $number } characters.
password-no-digit = The password needs a digit.
password-no-symbol = The password needs a character that is neither a letter nor a digit.
password-no-uppercase = The password needs an uppercase letter.
password-no-lowercase = The password needs a lowercase letter.
password-is-name = The password must not be your name.
password-same = The new password must differ from the present one.

# Sessions.
sessions-title = Sessions
sessions-about = These browsers and clients are signed in to your account. End the session of each that you do not know, and change your password then.
sessions-devices = Clients
sessions-browsers = Browsers on these pages
sessions-seen = Last seen
sessions-never-seen = Never seen
sessions-signed-in = Signed in
sessions-present = This browser
sessions-unknown-browser = Unknown browser
sessions-end = End the session
sessions-end-named = End the session of { $name }
sessions-end-others = End all other sessions
sessions-ended = The session was ended.
sessions-no-devices = No client is signed in.
sessions-more =
    { $count ->
        [one] One more client is not shown.
       *[other] { $count } more clients are not shown.
    }
session-title = Session
session-name = Name
session-id = Device ID
session-client = Client
session-address = Last address
session-end-about = If you end the session, the client is signed out and loses its encryption keys. Messages that no other client of yours can read are lost.
session-missing = Your account has no such session. It may have been ended before.

# Deactivation.
deactivate-title = Deactivate the account
deactivate-about = Nobody can use a deactivated account any more, including you:
deactivate-sessions = All your browsers and clients are signed out, and their encryption keys are deleted.
deactivate-rooms = The account leaves its rooms. Messages that you sent stay there.
deactivate-name = Nobody can take your user ID, not even you.
deactivate-kept =
    { $days ->
        [one] The people who run this server can bring the account back for one day, unless it is erased.
       *[other] The people who run this server can bring the account back for { $days } days, unless it is erased.
    }
deactivate-erase = Erase the account, too
deactivate-erase-hint = Your profile is deleted, and people who join a room later do not see your messages. This cannot be undone.
deactivate-sure = I want to deactivate { $user_id }
deactivate-not-sure = Confirm that you want to deactivate the account.
deactivate-submit = Deactivate the account
deactivated-title = The account is deactivated
deactivated-about = You are signed out everywhere.

# Archives.
export-title = Your data
export-about = You can order an archive of everything that this server stores about your account. It is kept for { $days } days, and a new one replaces it.
export-list = Archives
export-order = Order an archive
export-media = With the files that you uploaded
export-history = With the history of your rooms, as far as you can see it
export-submit = Order the archive
export-ordered = The archive is being made. Come back later to download it.
export-not-allowed = This server makes no archives for its users. Ask the people who run it.
export-password-hint = Everybody who has the archive can read it, so your password is asked for.
export-download = Download
export-size = { $megabytes } MB
export-ends = Kept until
export-state-waiting = Waiting
export-state-running = Being made
export-state-ready = Ready
export-state-failed = Failed
export-state-too-large = Too large for this server; one without files and history is smaller
export-state-deleted = Deleted
export-too-soon = An archive was ordered lately. Another one can be ordered later.
export-unfinished = The archive before is not made yet.
export-not-ready = This archive cannot be downloaded now.

# The cryptographic identity.
reset-title = Cryptographic identity
reset-about = Your cryptographic identity shows others that your clients are yours. If you have lost all clients and your recovery key, you can let a client make a new identity.
reset-warning = Others have to verify you again. Encrypted messages for which you have no key stay unreadable.
reset-submit = Allow a new identity
reset-allowed = Go back to your client: it can make a new identity until
reset-nothing = Your account has no cryptographic identity, so a client can make one at any time.

# Clients of OAuth 2.0.
consent-title = Access to your account
consent-about = An application wants to use your account.
consent-client = Application
consent-host = Web site
consent-returns-to = Continues at
consent-account = Your account
consent-device = Device ID
consent-may = What it could do
consent-may-messages = Read and send messages as you, in all your rooms
consent-may-account = See and change your profile, rooms and settings
consent-may-administer = Administer this server, as far as you can
consent-may-not = It does not learn your password. You can end its access at any time on the page of your sessions.
consent-program = A program on this machine gets access. Go on only if you have just started to sign in there: the name above is what the program says of itself.
consent-replaces = It takes the place of this session of yours, which ends:
consent-policy = Privacy policy
consent-terms = Terms of service
consent-allow = Give access
consent-refuse = Refuse
consent-again-about = The application asks that you sign in again first.
consent-again = Sign in again
consent-switch-about = Is this not the account that you want to use?
consent-switch = Use another account
refused-title = This application cannot get access
refused-about = It asked for something that this server does not do. Its makers have to mend that.
refused-back = Back to the application
device-title = Connect a device
device-about = Type the code that the application on your device shows.
device-warning = Go on only if the device is yours and shows this code itself. Whoever sent you a code or a link to this page would get into your account.
device-code = Code
device-code-hint = For example WDJB-MJHT.
device-wrong = No application waits with this code. Check it, or begin again on the device.
device-submit = Continue
device-asks = The code that you typed:
device-allowed-title = The device has access
device-allowed = Go back to the device: it is signed in in a moment. You can close this page.
device-refused-title = The device gets no access
device-refused = You can close this page.

# Errors.
problem-said = The server refused this: { $said }
error-continue = Your account
error-request = If you ask for help, give this number:
error-wait =
    { $seconds ->
        [one] Try again in one second.
       *[other] Try again in { $seconds } seconds.
    }
error-signed-out-title = You are signed out
error-signed-out = Your session has ended. Sign in again, and repeat what you did.
error-locked-title = The account is locked
error-locked = Ask the people who run this server.
error-expired-title = The account has expired
error-expired = The validity of this account has ended. Ask the people who run this server.
error-forbidden-title = This is not possible
error-forbidden = If you sent a form, open the page again and send it once more. The pages need cookies of this server.
error-bad-title = This request cannot be understood
error-bad = Open the page again. If a link led you here, it is wrong or incomplete.
error-not-found-title = This page does not exist
error-not-found = The link that led you here is wrong or old.
error-too-many-title = Too many requests
error-too-many = You, or somebody at your address, tried this too often.
error-busy-title = The server is busy
error-busy = Try again in a minute.
error-internal-title = Something went wrong
error-internal = This is a fault of the server. Its log has the reason.

# E-mail addresses, and the links in mails.
emails-title = E-mail addresses
emails-about = The server writes to these addresses what happens to your account, and by one of them you can choose a new password if you lose yours.
emails-none = Your account has no e-mail address.
emails-add = Add an address
emails-address = E-mail address
emails-submit = Send a mail to confirm it
emails-remove = Remove
emails-remove-named = Remove { $email }
emails-sent = A mail was sent to the address. Open its link to add the address to your account.
emails-removed = The address was removed.
emails-bad = This is not an e-mail address.
emails-in-use = This address is in use.
emails-not-allowed = The people who run this server add addresses.
email-title = Confirm your e-mail address
email-register = Somebody wants to register an account on { $server } with this e-mail address:
email-add = Somebody wants to add this e-mail address to the account { $user_id }:
email-add-some = Somebody wants to add this e-mail address to an account on { $server }:
email-reset = An app wants to set a new password for the account { $user_id }, which has this e-mail address:
email-hint = Confirm it only if that was you. Otherwise close this page.
email-submit = Confirm
email-confirmed = The e-mail address is confirmed
email-go-back = Go back to the app, and continue there.
email-added = It was added to the account { $user_id }.
email-continue = Continue
email-in-use = Another account got this address meanwhile.
email-too-many = The account has too many e-mail addresses. Remove one first.
link-ended-title = This link cannot be used
link-ended = It was used, has ended, or was replaced by that of a newer mail. Ask for another mail where you asked for this one.

# A new account.
register-link = Create an account
register-title = Create an account
register-login = Sign in to an account that you have
register-closed = Nobody can create an account here without the people who run this server. Ask them for one.
register-username = User name
register-username-hint = Small letters from a to z, digits, and the characters . _ = - / and +. With the name alice your user ID is @alice:{ $server }. It cannot be changed later.
register-token = Registration token
register-token-hint = You get it from the people who run this server.
register-email = E-mail address (optional)
register-email-hint = You get a mail by which you confirm it. If you lose your password, you can choose a new one by it.
register-email-about = Enter your e-mail address. You get a mail with a link, which leads to the next step.
register-address = Your account gets this e-mail address:
register-submit = Create the account
register-missing-name = Enter a user name.
register-bad-name = This cannot be a user name: it can have small letters from a to z, digits, and . _ = - / and +, must not begin with _, not be a number, and not be too long.
register-name-taken = This user name is taken. Choose another one.
register-missing-password = Enter a password.
register-bad-token = This registration token cannot be used. Check it, or ask for another one.
register-missing-token = Enter a registration token.

# A lost password.
recover-link = Forgot your password?
recover-title = Choose a new password
recover-about = Enter an e-mail address of your account. You get a mail with a link.
recover-email = E-mail address
recover-submit = Send the mail
recover-bad-email = This is not an e-mail address.
recover-unknown = No account has this address.
recover-sent = A mail was sent to { $email }.
recover-sent-about = It says what to do next. If it does not come, look among the unwanted mails.
recover-not-allowed = This server sets no passwords by mail. Ask the people who run it.
recover-choose-title = Choose a new password
recover-choose-about = This is the new password for the account { $user_id }.
recover-ends-sessions = All your browsers and clients are signed out. Messages that only they can read are lost without your recovery key.
recover-choose-submit = Set the password
recover-done = Your password was changed. Sign in with it.

# Renewal of an account that expires.
renew-title = Keep your account?
renew-about = This account expires. Confirm that you still use it.
renew-until = Valid until
renew-submit = Keep the account
renew-done = Your account was renewed
