# Was jede Seite hat.
skip = Zum Inhalt
languages = Sprachen
menu = Ihr Konto
signed-in-as = Angemeldet als
logout = Abmelden
cancel = Abbrechen
save = Speichern
none = Keine
problems = Bitte prüfen Sie Folgendes
problem-title = Problem:

# An- und Abmelden.
login-title = Anmelden
login-username = Benutzername oder E-Mail-Adresse
login-username-hint = Zum Beispiel alice, oder Ihre vollständige Benutzer-ID.
login-password = Passwort
login-submit = Anmelden
login-no-passwords = Das Anmelden mit Passwort ist auf diesem Server abgeschaltet.
login-wrong = Der Benutzername oder das Passwort ist falsch.
login-missing-name = Geben Sie Ihren Benutzernamen oder Ihre E-Mail-Adresse ein.
login-missing-password = Geben Sie Ihr Passwort ein.
login-locked = Dieses Konto ist gesperrt. Fragen Sie die Betreiber dieses Servers.
login-deactivated = Dieses Konto wurde deaktiviert.
login-expired = Die Gültigkeit dieses Kontos ist abgelaufen. Fragen Sie die Betreiber dieses Servers.
logout-title = In diesem Browser abmelden?
logout-about = Ihre Clients bleiben angemeldet. Deren Sitzungen können Sie auf der Seite Ihrer Sitzungen beenden.

# Das Konto.
account-title = Übersicht
account-hello = Hallo, { $name }
account-user-id = Benutzer-ID
account-name = Anzeigename
account-change-name = Ändern
account-emails = E-Mail-Adressen
account-change-emails = Ändern
account-sessions = Sitzungen
account-sessions-count =
    { $count ->
        [one] { $count } Sitzung
       *[other] { $count } Sitzungen
    }
account-show-sessions = Anzeigen

profile-title = Profil
profile-name = Anzeigename
profile-name-hint = Andere sehen diesen Namen. Ohne ihn sehen sie Ihre Benutzer-ID.
profile-saved = Ihr Profil wurde gespeichert.
profile-too-long = Der Name ist zu lang: er kann 256 Zeichen haben.

# Das Passwort, auch wo es noch einmal verlangt wird.
password-title = Passwort
password-present = Ihr jetziges Passwort
password-new = Neues Passwort
password-again = Neues Passwort, noch einmal
password-rules =
    { $length ->
        [0] Das Passwort darf nicht Ihr Name sein.
        [one] Das Passwort braucht mindestens ein Zeichen und darf nicht Ihr Name sein.
       *[other] Das Passwort braucht mindestens { $length } Zeichen und darf nicht Ihr Name sein.
    }
password-rule-digit = Es braucht eine Ziffer.
password-rule-symbol = Es braucht ein Zeichen, das weder Buchstabe noch Ziffer ist.
password-rule-uppercase = Es braucht einen Großbuchstaben.
password-rule-lowercase = Es braucht einen Kleinbuchstaben.
password-end-sessions = In allen anderen Browsern und Clients abmelden
password-submit = Passwort ändern
password-changed = Ihr Passwort wurde geändert.
password-required = Sie müssen Ihr Passwort ändern, bevor Sie hier etwas anderes tun können.
password-not-allowed = Auf diesem Server können Passwörter nicht geändert werden.
password-wrong = Das Passwort ist falsch.
password-missing = Geben Sie Ihr jetziges Passwort ein.
password-missing-new = Geben Sie ein neues Passwort ein.
password-differs = Die beiden Eingaben des neuen Passworts unterscheiden sich.
password-too-long = Das Passwort ist zu lang: es kann 512 Zeichen haben.
password-too-short = Das Passwort ist zu kurz: es braucht { $number } Zeichen.
password-no-digit = Das Passwort braucht eine Ziffer.
password-no-symbol = Das Passwort braucht ein Zeichen, das weder Buchstabe noch Ziffer ist.
password-no-uppercase = Das Passwort braucht einen Großbuchstaben.
password-no-lowercase = Das Passwort braucht einen Kleinbuchstaben.
password-is-name = Das Passwort darf nicht Ihr Name sein.
password-same = Das neue Passwort muss sich vom jetzigen unterscheiden.

# Sitzungen.
sessions-title = Sitzungen
sessions-about = Diese Browser und Clients sind in Ihrem Konto angemeldet. Beenden Sie jede Sitzung, die Sie nicht kennen, und ändern Sie dann Ihr Passwort.
sessions-devices = Clients
sessions-browsers = Browser auf diesen Seiten
sessions-seen = Zuletzt gesehen
sessions-never-seen = Nie gesehen
sessions-signed-in = Angemeldet
sessions-present = Dieser Browser
sessions-unknown-browser = Unbekannter Browser
sessions-end = Sitzung beenden
sessions-end-named = Sitzung beenden: { $name }
sessions-end-others = Alle anderen Sitzungen beenden
sessions-ended = Die Sitzung wurde beendet.
sessions-no-devices = Kein Client ist angemeldet.
sessions-more =
    { $count ->
        [one] Ein weiterer Client wird nicht gezeigt.
       *[other] { $count } weitere Clients werden nicht gezeigt.
    }
session-title = Sitzung
session-name = Name
session-id = Geräte-ID
session-client = Client
session-address = Letzte Adresse
session-end-about = Wenn Sie die Sitzung beenden, wird der Client abgemeldet und verliert seine Schlüssel. Nachrichten, die kein anderer Ihrer Clients lesen kann, sind verloren.
session-missing = Ihr Konto hat keine solche Sitzung. Vielleicht wurde sie schon beendet.

# Deaktivierung.
deactivate-title = Konto deaktivieren
deactivate-about = Ein deaktiviertes Konto kann niemand mehr benutzen, auch Sie nicht:
deactivate-sessions = Alle Ihre Browser und Clients werden abgemeldet, und ihre Schlüssel werden gelöscht.
deactivate-rooms = Das Konto verlässt seine Räume. Nachrichten, die Sie gesendet haben, bleiben dort.
deactivate-name = Niemand kann Ihre Benutzer-ID bekommen, auch Sie nicht.
deactivate-kept =
    { $days ->
        [one] Die Betreiber dieses Servers können das Konto einen Tag lang zurückholen, wenn es nicht gelöscht wird.
       *[other] Die Betreiber dieses Servers können das Konto { $days } Tage lang zurückholen, wenn es nicht gelöscht wird.
    }
deactivate-erase = Das Konto auch löschen
deactivate-erase-hint = Ihr Profil wird gelöscht, und wer einem Raum später beitritt, sieht Ihre Nachrichten nicht. Das lässt sich nicht rückgängig machen.
deactivate-sure = Ich möchte { $user_id } deaktivieren
deactivate-not-sure = Bestätigen Sie, dass Sie das Konto deaktivieren möchten.
deactivate-submit = Konto deaktivieren
deactivated-title = Das Konto ist deaktiviert
deactivated-about = Sie sind überall abgemeldet.

# Archive.
export-title = Ihre Daten
export-about = Sie können ein Archiv von allem bestellen, was dieser Server über Ihr Konto speichert. Es wird { $days } Tage aufbewahrt, und ein neues ersetzt es.
export-list = Archive
export-order = Archiv bestellen
export-media = Mit den Dateien, die Sie hochgeladen haben
export-history = Mit dem Verlauf Ihrer Räume, soweit Sie ihn sehen können
export-submit = Archiv bestellen
export-ordered = Das Archiv wird erstellt. Kommen Sie später wieder, um es herunterzuladen.
export-not-allowed = Dieser Server erstellt keine Archive für seine Benutzer. Fragen Sie die Betreiber.
export-password-hint = Wer das Archiv hat, kann es lesen. Darum wird Ihr Passwort verlangt.
export-download = Herunterladen
export-size = { $megabytes } MB
export-ends = Aufbewahrt bis
export-state-waiting = Wartet
export-state-running = Wird erstellt
export-state-ready = Fertig
export-state-failed = Gescheitert
export-state-too-large = Zu groß für diesen Server; ohne Dateien und Verlauf ist es kleiner
export-state-deleted = Gelöscht
export-too-soon = Ein Archiv wurde kürzlich bestellt. Ein weiteres kann später bestellt werden.
export-unfinished = Das vorige Archiv ist noch nicht fertig.
export-not-ready = Dieses Archiv kann jetzt nicht heruntergeladen werden.

# Die kryptografische Identität.
reset-title = Kryptografische Identität
reset-about = Ihre kryptografische Identität zeigt anderen, dass Ihre Clients Ihnen gehören. Wenn Sie alle Clients und Ihren Wiederherstellungsschlüssel verloren haben, können Sie einen Client eine neue Identität anlegen lassen.
reset-warning = Andere müssen Sie neu verifizieren. Verschlüsselte Nachrichten, für die Sie keinen Schlüssel haben, bleiben unlesbar.
reset-submit = Neue Identität erlauben
reset-allowed = Kehren Sie zu Ihrem Client zurück: er kann eine neue Identität anlegen bis
reset-nothing = Ihr Konto hat keine kryptografische Identität, daher kann ein Client jederzeit eine anlegen.

# Anwendungen mit OAuth 2.0.
consent-title = Zugriff auf Ihr Konto
consent-about = Eine Anwendung möchte Ihr Konto benutzen.
consent-client = Anwendung
consent-host = Website
consent-returns-to = Weiter geht es bei
consent-account = Ihr Konto
consent-device = Geräte-ID
consent-may = Was sie tun könnte
consent-may-messages = Nachrichten lesen und in Ihrem Namen senden, in allen Ihren Räumen
consent-may-account = Ihr Profil, Ihre Räume und Ihre Einstellungen sehen und ändern
consent-may-administer = Diesen Server verwalten, so weit Sie es können
consent-may-not = Ihr Passwort erfährt sie nicht. Sie können den Zugriff jederzeit auf der Seite Ihrer Sitzungen beenden.
consent-program = Ein Programm auf diesem Rechner bekommt Zugriff. Machen Sie nur weiter, wenn Sie eben dort begonnen haben, sich anzumelden: der Name oben ist der, den das Programm selbst nennt.
consent-replaces = Sie tritt an die Stelle dieser Sitzung, die damit endet:
consent-policy = Datenschutzerklärung
consent-terms = Nutzungsbedingungen
consent-allow = Zugriff geben
consent-refuse = Ablehnen
consent-again-about = Die Anwendung verlangt, dass Sie sich vorher noch einmal anmelden.
consent-again = Noch einmal anmelden
consent-switch-about = Ist das nicht das Konto, das Sie benutzen möchten?
consent-switch = Anderes Konto benutzen
refused-title = Diese Anwendung kann keinen Zugriff bekommen
refused-about = Sie hat um etwas gebeten, was dieser Server nicht tut. Das müssen ihre Hersteller in Ordnung bringen.
refused-back = Zurück zur Anwendung
device-title = Gerät verbinden
device-about = Geben Sie den Code ein, den die Anwendung auf Ihrem Gerät zeigt.
device-warning = Machen Sie nur weiter, wenn das Gerät Ihres ist und selbst diesen Code zeigt. Wer Ihnen einen Code oder einen Link zu dieser Seite geschickt hat, käme in Ihr Konto.
device-code = Code
device-code-hint = Zum Beispiel WDJB-MJHT.
device-wrong = Keine Anwendung wartet mit diesem Code. Prüfen Sie ihn, oder beginnen Sie auf dem Gerät noch einmal.
device-submit = Weiter
device-asks = Der Code, den Sie eingegeben haben:
device-allowed-title = Das Gerät hat Zugriff
device-allowed = Gehen Sie zurück zum Gerät: es ist gleich angemeldet. Sie können diese Seite schließen.
device-refused-title = Das Gerät bekommt keinen Zugriff
device-refused = Sie können diese Seite schließen.

# Fehler.
problem-said = Der Server hat das abgelehnt: { $said }
error-continue = Ihr Konto
error-request = Wenn Sie um Hilfe bitten, nennen Sie diese Nummer:
error-wait =
    { $seconds ->
        [one] Versuchen Sie es in einer Sekunde wieder.
       *[other] Versuchen Sie es in { $seconds } Sekunden wieder.
    }
error-signed-out-title = Sie sind abgemeldet
error-signed-out = Ihre Sitzung ist zu Ende. Melden Sie sich wieder an, und wiederholen Sie, was Sie getan haben.
error-locked-title = Das Konto ist gesperrt
error-locked = Fragen Sie die Betreiber dieses Servers.
error-expired-title = Das Konto ist abgelaufen
error-expired = Die Gültigkeit dieses Kontos ist abgelaufen. Fragen Sie die Betreiber dieses Servers.
error-forbidden-title = Das ist nicht möglich
error-forbidden = Wenn Sie ein Formular gesendet haben, öffnen Sie die Seite neu und senden Sie es noch einmal. Die Seiten brauchen Cookies dieses Servers.
error-bad-title = Diese Anfrage ist nicht zu verstehen
error-bad = Öffnen Sie die Seite neu. Wenn ein Link Sie hierher geführt hat, ist er falsch oder unvollständig.
error-not-found-title = Diese Seite gibt es nicht
error-not-found = Der Link, der Sie hierher geführt hat, ist falsch oder alt.
error-too-many-title = Zu viele Anfragen
error-too-many = Sie, oder jemand an Ihrer Adresse, haben das zu oft versucht.
error-busy-title = Der Server ist ausgelastet
error-busy = Versuchen Sie es in einer Minute wieder.
error-internal-title = Etwas ist schiefgegangen
error-internal = Das ist ein Fehler des Servers. Sein Protokoll hat den Grund.

# E-Mail-Adressen und die Links in Mails.
emails-title = E-Mail-Adressen
emails-about = An diese Adressen schreibt der Server, was mit Ihrem Konto geschieht, und mit einer davon können Sie ein neues Passwort wählen, wenn Sie Ihres verlieren.
emails-none = Ihr Konto hat keine E-Mail-Adresse.
emails-add = Eine Adresse hinzufügen
emails-address = E-Mail-Adresse
emails-submit = Eine Mail zur Bestätigung senden
emails-remove = Entfernen
emails-remove-named = { $email } entfernen
emails-sent = An die Adresse wurde eine Mail gesendet. Öffnen Sie ihren Link, um die Adresse Ihrem Konto hinzuzufügen.
emails-removed = Die Adresse wurde entfernt.
emails-bad = Das ist keine E-Mail-Adresse.
emails-in-use = Diese Adresse ist vergeben.
emails-not-allowed = Adressen fügen die Betreiber dieses Servers hinzu.
email-title = Bestätigen Sie Ihre E-Mail-Adresse
email-register = Jemand möchte mit dieser E-Mail-Adresse ein Konto auf { $server } anlegen:
email-add = Jemand möchte diese E-Mail-Adresse dem Konto { $user_id } hinzufügen:
email-add-some = Jemand möchte diese E-Mail-Adresse einem Konto auf { $server } hinzufügen:
email-reset = Eine App möchte ein neues Passwort für das Konto { $user_id } setzen, zu dem diese E-Mail-Adresse gehört:
email-hint = Bestätigen Sie es nur, wenn Sie das waren. Schließen Sie sonst diese Seite.
email-submit = Bestätigen
email-confirmed = Die E-Mail-Adresse ist bestätigt
email-go-back = Gehen Sie zurück zur App und machen Sie dort weiter.
email-added = Sie wurde dem Konto { $user_id } hinzugefügt.
email-continue = Weiter
email-in-use = Ein anderes Konto hat diese Adresse inzwischen bekommen.
email-too-many = Das Konto hat zu viele E-Mail-Adressen. Entfernen Sie zuerst eine.
link-ended-title = Dieser Link ist nicht mehr gültig
link-ended = Er wurde benutzt, ist abgelaufen oder durch den einer neueren Mail ersetzt. Fordern Sie dort eine neue Mail an, wo Sie diese angefordert haben.

# Ein neues Konto.
register-link = Ein Konto anlegen
register-title = Ein Konto anlegen
register-login = Mit einem Konto anmelden, das Sie schon haben
register-closed = Ohne die Betreiber dieses Servers kann hier niemand ein Konto anlegen. Bitten Sie sie um eines.
register-username = Benutzername
register-username-hint = Kleine Buchstaben von a bis z, Ziffern und die Zeichen . _ = - / und +. Mit dem Namen alice ist Ihre Benutzer-ID @alice:{ $server }. Sie lässt sich später nicht ändern.
register-token = Registrierungs-Token
register-token-hint = Sie bekommen es von den Betreibern dieses Servers.
register-email = E-Mail-Adresse (wenn Sie möchten)
register-email-hint = Sie bekommen eine Mail, mit der Sie sie bestätigen. Wenn Sie Ihr Passwort verlieren, können Sie damit ein neues wählen.
register-email-about = Geben Sie Ihre E-Mail-Adresse ein. Sie bekommen eine Mail mit einem Link zum nächsten Schritt.
register-address = Ihr Konto bekommt diese E-Mail-Adresse:
register-submit = Das Konto anlegen
register-missing-name = Geben Sie einen Benutzernamen ein.
register-bad-name = Das kann kein Benutzername sein: er kann kleine Buchstaben von a bis z, Ziffern und . _ = - / und + haben, darf nicht mit _ beginnen, keine Zahl und nicht zu lang sein.
register-name-taken = Dieser Benutzername ist vergeben. Wählen Sie einen anderen.
register-missing-password = Geben Sie ein Passwort ein.
register-bad-token = Dieses Registrierungs-Token kann nicht benutzt werden. Prüfen Sie es, oder bitten Sie um ein anderes.
register-missing-token = Geben Sie ein Registrierungs-Token ein.

# Ein verlorenes Passwort.
recover-link = Passwort vergessen?
recover-title = Ein neues Passwort wählen
recover-about = Geben Sie eine E-Mail-Adresse Ihres Kontos ein. Sie bekommen eine Mail mit einem Link.
recover-email = E-Mail-Adresse
recover-submit = Die Mail senden
recover-bad-email = Das ist keine E-Mail-Adresse.
recover-unknown = Kein Konto hat diese Adresse.
recover-sent = An { $email } wurde eine Mail gesendet.
recover-sent-about = Sie sagt, wie es weitergeht. Wenn sie nicht kommt, sehen Sie bei den unerwünschten Mails nach.
recover-not-allowed = Dieser Server setzt keine Passwörter per Mail. Fragen Sie die Betreiber.
recover-choose-title = Wählen Sie ein neues Passwort
recover-choose-about = Dies wird das neue Passwort für das Konto { $user_id }.
recover-ends-sessions = Alle Ihre Browser und Clients werden abgemeldet. Nachrichten, die nur sie lesen können, sind ohne Ihren Wiederherstellungsschlüssel verloren.
recover-choose-submit = Das Passwort setzen
recover-done = Ihr Passwort wurde geändert. Melden Sie sich damit an.

# Verlängerung eines Kontos, das abläuft.
renew-title = Möchten Sie Ihr Konto behalten?
renew-about = Dieses Konto läuft ab. Bestätigen Sie, dass Sie es noch nutzen.
renew-until = Gültig bis
renew-submit = Das Konto behalten
renew-done = Ihr Konto wurde verlängert
