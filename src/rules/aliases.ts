import { FIELDS } from './fields.ts'
import type { FieldName } from './fields.ts'

/**
 * Headers that name a field beyond doubt, in English, Spanish, French, German and Dutch (A4).
 * Written as people write them; case, spaces, punctuation and accents do not matter.
 * What could mean two things does not belong here but in AMBIGUOUS.
 */
const ALIASES: Record<FieldName, readonly string[]> = {
  externalId: [
    'External Identifier', 'Ext ID', 'External Number', 'External Code', 'External Key', 'External Reference',
    'Employee ID', 'Employee Number', 'Employee No', 'Employee #', 'Employee Code', 'Emp ID', 'Emp No', 'Emp Number', 'Empl ID',
    'Associate ID', 'Worker ID', 'Staff ID', 'Staff Number', 'Staff No', 'Personnel Number', 'Personnel No', 'Personnel ID',
    'Person ID', 'Person Number', 'Payroll ID', 'Payroll Number', 'Badge ID', 'Badge Number', 'Member ID', 'HR ID', 'Source ID', 'Foreign ID',
    'ID externo', 'Identificador externo', 'Código externo', 'Número de empleado', 'Nº de empleado', 'Núm. empleado', 'ID de empleado', 'ID empleado', 'Código de empleado', 'Legajo',
    'ID externe', 'Identifiant externe', 'Code externe', 'Référence externe', 'Matricule', 'Numéro de matricule', 'Numéro d’employé', 'N° employé', 'ID employé', 'Numéro de salarié', 'Identifiant employé',
    'Externe ID', 'Externe Kennung', 'Externe Nummer', 'Personalnummer', 'Personal-Nr.', 'Personalnr', 'Pers.-Nr.', 'Mitarbeiternummer', 'Mitarbeiter-Nr.', 'Mitarbeiter-ID', 'Mitarbeiterkennung', 'Stammnummer',
    'Extern ID', 'Externe code', 'Extern nummer', 'Personeelsnummer', 'Personeelsnr', 'Personeels-ID', 'Medewerkernummer', 'Medewerker-ID', 'Werknemersnummer', 'Stamnummer',
  ],
  firstName: [
    'First', 'Firstname', 'First Names', 'Given Name', 'Given Names', 'Forename', 'Forenames', 'Christian Name', 'FName', 'First Nm', 'Legal First Name', 'Contact First Name', 'User First Name', 'Employee First Name',
    'Nombre', 'Nombres', 'Primer nombre', 'Nombre de pila', 'Nombre(s)',
    'Prénom', 'Prénoms', 'Prénom usuel', 'Prénom(s)',
    'Vorname', 'Vornamen', 'Rufname',
    'Voornaam', 'Voornamen', 'Roepnaam', 'Eerste naam',
  ],
  lastName: [
    'Last', 'Lastname', 'Last Names', 'Surname', 'Surnames', 'Family Name', 'LName', 'Last Nm', 'Legal Last Name', 'Contact Last Name', 'User Last Name', 'Employee Last Name',
    'Apellido', 'Apellidos', 'Primer apellido', 'Apellido paterno', 'Apellido(s)',
    'Nom', 'Nom de famille', 'Nom usuel', 'Nom patronymique',
    'Nachname', 'Nachnamen', 'Familienname', 'Zuname',
    'Achternaam', 'Familienaam', 'Geslachtsnaam',
  ],
  email: [
    'E-mail', 'Email Address', 'E-mail Address', 'Mail', 'Mail Address', 'Email Addr', 'Email ID', 'Work Email', 'Work Email Address', 'Business Email', 'Business Email Address', 'Primary Email', 'Primary Email Address',
    'Company Email', 'Corporate Email', 'Contact Email', 'User Email', 'Employee Email', 'SMTP Address', 'Electronic Mail',
    'Correo', 'Correo electrónico', 'Dirección de correo', 'Dirección de correo electrónico', 'Dirección de email', 'Correo de trabajo', 'Correo corporativo',
    'Courriel', 'Adresse e-mail', 'Adresse mail', 'Adresse courriel', 'Adresse électronique', 'Adresse de messagerie', 'Mél', 'E-mail professionnel', 'Courrier électronique',
    'E-Mail-Adresse', 'Mailadresse', 'Mail-Adresse', 'Elektronische Post', 'E-Mail geschäftlich', 'Geschäftliche E-Mail', 'E-Mail dienstlich', 'Dienstliche E-Mail',
    'E-mailadres', 'Mailadres', 'Zakelijk e-mailadres', 'Zakelijke e-mail', 'E-mail werk', 'Werk e-mail',
  ],
  phone: [
    'Phone Number', 'Phone No', 'Phone #', 'Telephone', 'Telephone Number', 'Telephone No', 'Tel', 'Tel No', 'Tel Number', 'Work Phone', 'Work Phone Number', 'Business Phone', 'Office Phone', 'Primary Phone', 'Contact Phone',
    'Mobile', 'Mobile Phone', 'Mobile Number', 'Mobile No', 'Cell', 'Cell Phone', 'Cell Number', 'Cellphone', 'Cellular',
    'Teléfono', 'Número de teléfono', 'Núm. de teléfono', 'Teléfono móvil', 'Móvil', 'Celular', 'Teléfono de trabajo', 'Teléfono celular',
    'Téléphone', 'Numéro de téléphone', 'N° de téléphone', 'Téléphone portable', 'Téléphone mobile', 'Portable', 'Tél', 'Tél. portable', 'Téléphone professionnel',
    'Telefon', 'Telefonnummer', 'Telefon-Nr.', 'Rufnummer', 'Mobiltelefon', 'Mobilnummer', 'Mobil', 'Handy', 'Handynummer', 'Telefon geschäftlich', 'Fernruf',
    'Telefoon', 'Telefoonnummer', 'Telefoonnr', 'Mobiel', 'Mobiele telefoon', 'Mobiel nummer', 'Gsm', 'Gsm-nummer', 'Zakelijke telefoon',
  ],
  systemUser: [
    'Is System User', 'System User?', 'System Access', 'Has Access', 'Enable Access', 'Create User', 'Is User',
    'Usuario del sistema', 'Usuario de sistema', 'Acceso al sistema', 'Crear usuario',
    'Utilisateur système', 'Utilisateur du système', 'Accès système', 'Accès au système', 'Créer un utilisateur',
    'Systembenutzer', 'Systemnutzer', 'Systemzugang', 'Systemzugriff', 'Benutzer anlegen',
    'Systeemgebruiker', 'Systeemtoegang', 'Toegang tot systeem', 'Gebruiker aanmaken',
  ],
  accountKind: [
    'Account Type', 'Kind of Account', 'Type of Account', 'User Kind',
    'Tipo de cuenta', 'Clase de cuenta',
    'Type de compte', 'Genre de compte',
    'Kontoart', 'Kontotyp', 'Art des Kontos',
    'Accounttype', 'Accountsoort', 'Soort account', 'Type account',
  ],
  username: [
    'User Name', 'Login Name', 'Logon Name', 'Login ID', 'Logon ID', 'Sign-in Name', 'Account Name', 'User Principal Name', 'UPN', 'sAMAccountName',
    'Nombre de usuario', 'Nombre usuario', 'Nombre de inicio de sesión', 'Nombre de la cuenta',
    'Nom d’utilisateur', 'Nom utilisateur', 'Nom de connexion', 'Nom de compte', 'Identifiant de connexion',
    'Benutzername', 'Anmeldename', 'Nutzername', 'Loginname', 'Kontoname',
    'Gebruikersnaam', 'Inlognaam', 'Aanmeldnaam', 'Loginnaam', 'Accountnaam',
  ],
  groups: [
    'User Groups', 'Group', 'Groups', 'Group Name', 'User Group Name', 'Usergroup', 'Usergroups',
    'Grupo', 'Grupos', 'Grupo de usuarios', 'Grupos de usuarios', 'Grupo de usuario',
    'Groupe', 'Groupes', 'Groupe d’utilisateurs', 'Groupes d’utilisateurs', 'Groupe utilisateur',
    'Gruppe', 'Gruppen', 'Benutzergruppe', 'Benutzergruppen', 'Nutzergruppe',
    'Groep', 'Groepen', 'Gebruikersgroep', 'Gebruikersgroepen',
  ],
  profile: [
    'Profile Name', 'User Profile', 'Profiles', 'Security Profile',
    'Perfil', 'Perfil de usuario', 'Nombre del perfil',
    'Profil', 'Profil utilisateur', 'Profil d’utilisateur', 'Nom du profil',
    'Benutzerprofil', 'Nutzerprofil', 'Profilname',
    'Profiel', 'Gebruikersprofiel', 'Profielnaam',
  ],
  license: [
    'Licence', 'License Type', 'Licence Type', 'License Name', 'User License', 'Licenses', 'Licences',
    'Licencia', 'Tipo de licencia', 'Licencia de usuario',
    'Type de licence', 'Licence utilisateur', 'Nom de la licence',
    'Lizenz', 'Lizenztyp', 'Lizenzart', 'Benutzerlizenz',
    'Licentie', 'Licentietype', 'Soort licentie', 'Gebruikerslicentie',
  ],
  roles: [
    'Roles', 'Role Name', 'User Role', 'User Roles', 'Security Role', 'Security Roles', 'System Role',
    'Rol', 'Rol de usuario', 'Roles de usuario', 'Rol del usuario',
    'Rôle', 'Rôles', 'Rôle utilisateur', 'Rôle de l’utilisateur',
    'Rolle', 'Rollen', 'Benutzerrolle', 'Benutzerrollen', 'Nutzerrolle',
    'Gebruikersrol', 'Gebruikersrollen',
  ],
  product: [
    'Products', 'Product Name', 'Product Instance', 'Product Instances',
    'Producto', 'Productos', 'Nombre del producto',
    'Produit', 'Produits', 'Nom du produit',
    'Produkt', 'Produkte', 'Produktname',
    'Producten', 'Productnaam',
  ],
  tenant: [
    'Tenants', 'Tenant Name',
    'Inquilino', 'Inquilinos',
    'Locataire', 'Locataires',
    'Mandant', 'Mandanten',
    'Huurder', 'Huurders',
  ],
  company: [
    'Company Name', 'Companies', 'Company Security', 'Company Security Group',
    'Empresa', 'Empresas', 'Compañía', 'Nombre de la empresa',
    'Société', 'Entreprise', 'Nom de la société', 'Nom de l’entreprise',
    'Firma', 'Unternehmen', 'Gesellschaft', 'Firmenname',
    'Bedrijf', 'Bedrijfsnaam', 'Onderneming', 'Maatschappij',
  ],
  businessUnit: [
    'Business Units', 'BU', 'Business Unit Name', 'Business Unit Security Group',
    'Unidad de negocio', 'Unidad de negocios',
    'Unité commerciale', 'Unité d’affaires', 'Unité opérationnelle', 'Unité métier',
    'Geschäftsbereich', 'Geschäftseinheit', 'Unternehmensbereich',
    'Bedrijfseenheid', 'Bedrijfsonderdeel', 'Businessunit',
  ],
  department: [
    'Departments', 'Dept', 'Department Name', 'Department Security Group',
    'Departamento', 'Departamentos', 'Depto',
    'Département', 'Départements',
    'Abteilung', 'Abteilungen', 'Abt',
    'Afdeling', 'Afdelingen', 'Afdelingsnaam',
  ],
  location: [
    'Locations', 'Location Name', 'Office Location', 'Work Location', 'Location Security Group',
    'Ubicación', 'Localización', 'Lugar de trabajo',
    'Emplacement', 'Lieu', 'Lieu de travail', 'Localisation',
    'Standort', 'Arbeitsort', 'Standorte',
    'Locatie', 'Werklocatie', 'Vestiging', 'Locaties',
  ],
  lookups: [
    'Lookups', 'Authorized Lookup', 'Lookup Security', 'Lookup Security Groups', 'Lookup Authorization',
    'Búsquedas autorizadas', 'Consultas autorizadas', 'Valores autorizados',
    'Recherches autorisées', 'Listes autorisées', 'Valeurs autorisées',
    'Zulässige Nachschlagewerte', 'Nachschlagefelder', 'Freigegebene Nachschlagefelder', 'Berechtigte Auswahllisten',
    'Toegestane opzoekvelden', 'Opzoekvelden', 'Geautoriseerde opzoekvelden',
  ],
  customer: [
    'Customers', 'Customer Name', 'Client Company',
    'Clientes', 'Cliente', 'Nombre del cliente',
    'Nom du client', 'Société cliente',
    'Kunde', 'Kunden', 'Kundenname',
    'Klant', 'Klanten', 'Klantnaam',
  ],
  worksite: [
    'Work Site', 'Worksites', 'Worksite Name', 'Job Site',
    'Sitio de trabajo', 'Centro de trabajo', 'Obra',
    'Site de travail', 'Chantier',
    'Einsatzort', 'Baustelle', 'Arbeitsstätte',
    'Werkplek', 'Werkplaats', 'Bouwplaats',
  ],
  contactRole: [
    'Contact Roles', 'Role of Contact', 'Customer Role',
    'Rol de contacto', 'Rol del contacto', 'Roles de contacto', 'Función de contacto',
    'Rôle du contact', 'Rôle de contact', 'Fonction du contact',
    'Kontaktrolle', 'Kontaktrollen', 'Ansprechpartnerrolle',
    'Contactrol', 'Contactrollen', 'Rol van contact',
  ],
  delivery: [
    'Delivery Method', 'Delivery Type', 'Mail Type', 'Credential Delivery', 'Invitation Type',
    'Entrega', 'Envío', 'Tipo de envío', 'Método de entrega',
    'Livraison', 'Envoi', 'Mode d’envoi', 'Type d’envoi', 'Remise',
    'Zustellung', 'Versand', 'Versandart', 'Zustellart',
    'Levering', 'Verzending', 'Verzendwijze', 'Aflevering',
  ],
  sendAt: [
    'Send At', 'Send On', 'Date to Send', 'Delivery Date', 'Password Send Date', 'Invitation Date', 'Mail Date', 'Go-Live Date', 'Go Live', 'Release Date',
    'Fecha de envío', 'Fecha envío', 'Fecha de entrega', 'Enviar el',
    'Date d’envoi', 'Date de livraison', 'Envoyer le',
    'Versanddatum', 'Sendedatum', 'Zustelldatum', 'Senden am', 'Versand am',
    'Verzenddatum', 'Verzenden op', 'Datum van verzending', 'Leverdatum',
  ],
}

/** Headers that may mean any of several fields: they are never taken, only proposed. The likeliest stands first. */
const AMBIGUOUS: Record<string, readonly FieldName[]> = {
  'Name': ['lastName', 'firstName'],
  'Naam': ['lastName', 'firstName'],
  'Full Name': ['lastName', 'firstName'],
  'Display Name': ['lastName', 'firstName'],
  'Contact Name': ['lastName', 'firstName'],
  'Employee Name': ['lastName', 'firstName'],
  'Nombre completo': ['lastName', 'firstName'],
  'Nombre y apellidos': ['lastName', 'firstName'],
  'Nom complet': ['lastName', 'firstName'],
  'Nom et prénom': ['lastName', 'firstName'],
  'Vollständiger Name': ['lastName', 'firstName'],
  'Volledige naam': ['lastName', 'firstName'],
  'Middle Name': ['firstName'],
  'Second Name': ['firstName', 'lastName'],
  'Preferred Name': ['firstName'],
  'Nickname': ['firstName'],
  'ID': ['externalId'],
  'Identifier': ['externalId'],
  'Identifiant': ['externalId', 'username'],
  'Number': ['externalId', 'phone'],
  'Nummer': ['externalId', 'phone'],
  'Número': ['externalId', 'phone'],
  'Code': ['externalId'],
  'Contact ID': ['externalId'],
  'User ID': ['username', 'externalId'],
  'Userid': ['username', 'externalId'],
  'User': ['username', 'systemUser'],
  'Usuario': ['username', 'systemUser'],
  'Utilisateur': ['username', 'systemUser'],
  'Benutzer': ['username', 'systemUser'],
  'Gebruiker': ['username', 'systemUser'],
  'Login': ['username'],
  'Account': ['username', 'accountKind'],
  'Alias': ['username'],
  'Personal Email': ['email'],
  'Home Email': ['email'],
  'Home Phone': ['phone'],
  'Contact Number': ['phone', 'externalId'],
  'Fax': ['phone'],
  'Address': ['email'],
  'Adresse': ['email'],
  'Contact': ['phone', 'email'],
  'User Type': ['accountKind', 'roles'],
  'Type': ['accountKind'],
  'Kind': ['accountKind'],
  'Function': ['roles', 'contactRole'],
  'Fonction': ['roles', 'contactRole'],
  'Función': ['roles', 'contactRole'],
  'Funktion': ['roles', 'contactRole'],
  'Functie': ['roles', 'contactRole'],
  'Client': ['customer'],
  'Site': ['worksite', 'location'],
  'Sitio': ['worksite', 'location'],
  'Office': ['location'],
  'Service': ['department'],
  'Division': ['businessUnit', 'department'],
  'Unit': ['businessUnit'],
  'Einheit': ['businessUnit'],
  'Organization': ['company'],
  'Organisation': ['company'],
  'Date': ['sendAt'],
  'Datum': ['sendAt'],
  'Fecha': ['sendAt'],
  'Start Date': ['sendAt'],
  'Access': ['systemUser'],
}

/** What senders write behind a header to say that it must, or need not, be filled in. */
const MARKS_BEHIND = /(?:[\s*:]|[([](?:required|mandatory|optional|requerido|obligatorio|opcional|requis|obligatoire|facultatif|erforderlich|pflicht|pflichtfeld|verplicht|optioneel)[)\]])+$/iu

/**
 * What two headers have in common when they count as the same: no case, accents, spaces, punctuation, invisible
 * characters, and no mark such as * or "(required)" behind. A header of punctuation alone gives ''.
 */
export function headerKey(header: string): string {
  return header.replace(MARKS_BEHIND, '').normalize('NFKD').toLowerCase().replaceAll('ß', 'ss').replaceAll('#', 'number').replace(/[^\p{L}\p{N}]+/gu, '')
}

function fieldsByKey(): Map<string, FieldName> {
  const claimed = new Map<string, FieldName>()
  const claim = (header: string, name: FieldName) => {
    const key = headerKey(header)
    const other = claimed.get(key)
    if (other !== undefined && other !== name) throw new Error(`The alias ${header} is claimed by ${other} and ${name}.`)
    claimed.set(key, name)
  }
  for (const { name, header } of FIELDS) {
    for (const alias of [header, name, ...ALIASES[name]]) claim(alias, name)
  }
  return claimed
}

/** The field that a header's key names beyond doubt. */
export const FIELD_BY_KEY: ReadonlyMap<string, FieldName> = fieldsByKey()

/** The fields that a header's key may mean, likeliest first; none of them is to be taken unasked. */
export const FIELDS_PROPOSED: ReadonlyMap<string, readonly FieldName[]> = new Map(
  Object.entries(AMBIGUOUS).map(([header, names]) => [headerKey(header), names]),
)
