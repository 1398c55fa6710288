/** What the page believes of its address (frontend contract §2.2, §4, §7.14 to 16), and where it leads in the end (§7.12). */
import { describe, expect, test } from 'vitest';
import { readPageConfig, windowFeatures } from '../../src/ui/connect/page-config.ts';
import { returnAddress } from '../../src/ui/connect/return-address.ts';
import { searcher } from '../../src/ui/connect/search.ts';
import { integrationOf, madeUpProvider } from './forms.ts';

const read = (search: string) => readPageConfig({ apiUrl: 'https://auth.example.com/base/', search, isStandalone: true });

describe('the address', () => {
    test('another API in it is not believed', () => {
        expect(read('?apiURL=https://evil.test&session_token=t').apiUrl).toBe('https://auth.example.com/base');
    });

    test('token and flow do not stay in it; the rest does', () => {
        const config = read('?session_token=t%20k&flow=f&lang=fr&theme=dark');
        expect(config).toMatchObject({ token: 't k', returnedFlow: 'f', lang: 'fr', theme: 'dark', search: '?lang=fr&theme=dark' });
        expect(read('?session_token=t').search).toBe('');
    });

    test('what it does not know is ignored', () => {
        expect(read('?theme=neon&popup_width=1e9&popup_height=50&embedded=1')).toMatchObject({
            theme: undefined,
            isInline: false,
            popup: { width: undefined, height: undefined },
            token: undefined,
        });
    });
});

test('a window is centred on its screen and fits it', () => {
    expect(windowFeatures([{ width: 600, height: 700 }], { width: 1280, height: 800, left: 1280, top: 0 })).toBe(
        'popup,width=600,height=700,left=1620,top=50',
    );
    expect(windowFeatures([{ width: 600, height: 700 }], { width: 400, height: 300 })).toBe('popup,width=400,height=300,left=0,top=0');
});

test('§7.14: the host’s wish for a window’s size goes before the provider’s hint, and that before the default', () => {
    const screen = { width: 2000, height: 2000 };
    const size = (search: string, hint?: { width?: number; height?: number }) =>
        /width=\d+,height=\d+/.exec(windowFeatures([read(search).popup, hint], screen))?.[0];
    expect(size('')).toBe('width=640,height=760');
    expect(size('', { width: 900 })).toBe('width=900,height=760');
    expect(size('?popup_height=500', { width: 900, height: 800 })).toBe('width=900,height=500');
});

test('the way back tells what became of it', () => {
    const connected = { providerConfigKey: 'acme', connectionId: 'c 1', isPending: false };
    expect(returnAddress('https://app.example.com/done?x=1#y', connected)).toBe(
        'https://app.example.com/done?x=1&status=success&connection_id=c+1&provider_config_key=acme#y',
    );
    expect(returnAddress(undefined, connected)).toBeUndefined();
    expect(returnAddress('javascript:alert(1)', connected)).toBeUndefined();
});

test('search looks at names and ids, without accents and case, and keeps the order', () => {
    const [first, second, third] = [
        integrationOf(madeUpProvider({ name: 'zoho-crm', display_name: 'Zoho CRM' })),
        integrationOf(madeUpProvider({ name: 'creme', display_name: 'Crème' })),
        integrationOf(madeUpProvider({ name: 'other', display_name: 'Other' })),
    ];
    const search = searcher([first, second, third]);
    expect(search('CR')).toEqual([first, second]);
    expect(search('creme')).toEqual([second]);
    expect(search('zoho  crm')).toEqual([first]);
    expect(search(' ')).toHaveLength(3);
    expect(search('nothing')).toEqual([]);
});
