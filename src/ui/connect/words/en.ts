/** Every text of the page. The other languages have the same keys, or do not compile. `{name}` is filled in by `fill`. */

interface KnownField {
    label: string;
    example?: string;
}

export const en = {
    loading: 'Loading',
    close: 'Close',
    back: 'Back',
    retry: 'Try again',
    optional: 'Optional',
    help: 'How to connect {name}',
    fieldHelp: 'Help for {field}',
    opensInNewTab: 'opens in a new tab',
    watermark: 'Secured by {name}',

    list: {
        title: 'Connect an account',
        hint: 'Choose what you would like to connect.',
        search: 'Search',
        searchHint: 'Search {count} services',
        noMatch: 'Nothing matches “{query}”.',
        matches: '{count} found',
        oneMatch: '1 found',
        failed: 'This service could not be opened. Try again.',
    },
    empty: {
        title: 'Nothing to connect yet',
        text: 'No service has been set up here. Please contact the people who sent you.',
    },

    form: {
        title: 'Connect {name}',
        reconnectTitle: 'Reconnect {name}',
        intro: 'Enter your {name} details. They are encrypted and used for this connection only.',
        nothingToFillIn: 'You are about to connect your {name} account.',
        windowHint: 'A window of {name} will open, where you sign in and agree.',
        outboundHint: 'After this, finish the installation at {name}. The connection is active as soon as {name} confirms it.',
        submit: 'Connect',
        submitAgain: 'Try again',
        busy: 'Connecting…',
        openInTab: 'Open in a new tab instead',
        openHere: 'Continue in this tab instead',
        incomplete: 'Please check the marked fields.',
        show: 'Show {field}',
        hide: 'Hide {field}',
        chooseFile: 'choose a file',
        dropFile: 'Paste the text, drop a file here, or',
        startsWith: 'starts with {text}',
        endsWith: 'ends with {text}',
        blocked: 'Your browser did not open the window. Allow pop-ups for this page, or use the link below.',
        closed: 'The window was closed before {name} answered. If it is still open, finish there and this page will notice.',
        invalidPreset: 'A setting made by your administrator is not valid: {fields}. Please tell them.',
        preview: 'This is a preview. Nothing is sent.',
    },
    ownApp: {
        title: 'Use your own OAuth app',
    },
    aws: {
        title: 'External ID',
        text: 'Put this value into the trust policy of the role.',
        copy: 'Copy',
        copied: 'Copied',
    },

    waiting: {
        title: 'Continue at {name}',
        text: 'Sign in and agree in the window that has opened. This page waits for you.',
        sameTab: 'Taking you to {name}…',
        finishing: 'Almost there. Finishing the connection…',
        noWindow: 'No window to be seen?',
        open: 'Open it here',
        giveUp: 'Start over',
    },

    success: {
        title: 'Connected',
        text: '{name} is connected.',
        finish: 'Done',
        closeTab: 'You can close this tab now.',
        goOn: 'Continue',
    },
    pending: {
        title: 'Waiting for approval',
        text: 'Your request has reached {name}. The connection becomes active once it is approved there.',
    },
    failure: {
        title: 'Not connected',
        credentials: '{name} did not accept these details. Check them and try again.',
        limit: 'No more connections can be made at the moment. Please contact the people who sent you.',
        other: 'The connection to {name} could not be made.',
        details: 'Technical details',
        network: 'The server could not be reached. Check your internet connection.',
        code: 'Code: {code}',
    },
    expired: {
        title: 'This session has expired',
        text: 'For your safety it lasts for a short time only. Go back to the app that sent you and start again.',
    },
    noToken: {
        title: 'Open this page from your app',
        text: 'It cannot be opened on its own. Go back to the app in which you want to connect an account and start from there.',
    },
    error: {
        title: 'Something went wrong',
        text: 'This page could not be loaded. Please try again.',
    },
    unsupported: {
        title: '{name} cannot be connected here',
        text: 'It is connected in a way that this page does not support. Please contact the people who sent you.',
    },
    leave: {
        title: 'Leave without connecting?',
        text: 'What you have typed will be lost.',
        stay: 'Stay',
        leave: 'Leave',
    },

    faults: {
        required: 'Please fill in {field}.',
        choice: 'Please choose one of the options.',
        hostname: 'Enter a host name, such as app.example.com.',
        uuid: 'Enter an ID such as 123e4567-e89b-12d3-a456-426614174000.',
        uri: 'Enter an address that begins with https://.',
        email: 'Enter an e-mail address.',
        pattern: 'This does not look like a valid {field}.',
        patternLike: 'It should look like “{example}”.',
    },

    knownFields: {
        apiKey: { label: 'API key' } as KnownField,
        username: { label: 'User name' } as KnownField,
        password: { label: 'Password' } as KnownField,
        pat_name: { label: 'Name of the personal access token' } as KnownField,
        pat_secret: { label: 'Personal access token' } as KnownField,
        content_url: { label: 'Content URL' } as KnownField,
        client_id: { label: 'Client ID' } as KnownField,
        client_secret: { label: 'Client secret' } as KnownField,
        client_certificate: { label: 'Client certificate', example: '-----BEGIN CERTIFICATE-----' } as KnownField,
        client_private_key: { label: 'Private key', example: '-----BEGIN PRIVATE KEY-----' } as KnownField,
        oauth_client_id_override: { label: 'OAuth client ID' } as KnownField,
        oauth_client_secret_override: { label: 'OAuth client secret' } as KnownField,
        oauth_refresh_token_override: { label: 'OAuth refresh token' } as KnownField,
        token_id: { label: 'Token ID' } as KnownField,
        token_secret: { label: 'Token secret' } as KnownField,
        organization_id: { label: 'Organization ID' } as KnownField,
        dev_key: { label: 'Developer key' } as KnownField,
        role_arn: { label: 'Role ARN', example: 'arn:aws:iam::123456789012:role/MyRole' } as KnownField,
        privateKey: { label: 'Private key', example: '-----BEGIN PRIVATE KEY-----' } as KnownField,
        privateKeyId: { label: 'Key ID' } as KnownField,
        issuerId: { label: 'Issuer ID' } as KnownField,
    },
};

export type Words = typeof en;
