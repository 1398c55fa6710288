/**
 * The Connect UI: the page on which a user connects an account, in a frame of the customer's or in a tab of its own. Lives here:
 * everything that runs in the browser. Not here: the document around it and all decisions, which are the server's.
 */
import { render } from 'preact';
import { App } from './app.tsx';
import { Theme } from './apply-theme.ts';
import { Controller } from './controller.ts';
import { acknowledgeCallbacks, listenToHost, tellHost } from './host.ts';
import { keptSession } from './kept-session.ts';
import { readPageConfig, type PageConfig } from './page-config.ts';
import { languageOf, loadWords } from './words/languages.ts';
import './style.css';

const root = document.getElementById('root')!;

function readConfig(): PageConfig {
    const { apiUrl } = JSON.parse(root.dataset['config'] ?? '{}') as { apiUrl?: string };
    const isStandalone = window.parent === window;
    const found = { apiUrl: apiUrl ?? window.location.origin, isStandalone };
    const config = readPageConfig({ ...found, search: window.location.search });
    const kept = config.token === undefined ? keptSession(isStandalone) : undefined;
    // On the way back from the provider the address has neither language nor theme.
    const isBack = kept !== undefined && config.returnedFlow !== undefined;
    return {
        ...config,
        ...(isBack ? { ...readPageConfig({ ...found, search: kept.search }), returnedFlow: config.returnedFlow, leftFor: kept.leftFor } : {}),
        token: config.token ?? kept?.token,
    };
}

async function boot(): Promise<void> {
    const config = readConfig();
    // A token opens doors: out of the address bar, the history and every referrer (§4).
    window.history.replaceState(window.history.state, '', window.location.pathname + config.search);
    document.documentElement.classList.add(config.isStandalone ? 'standalone' : 'framed');
    const theme = new Theme(config.theme);
    const { language, words } = await loadWords(languageOf(config.lang, navigator.language));
    document.documentElement.lang = language;
    const controller = new Controller(config, words, language);
    listenToHost({ onToken: (token) => controller.useToken(token), onSettings: (settings) => controller.useSettings(settings) });
    acknowledgeCallbacks(config.apiUrl);
    // The browser's way back from the provider, where it kept the page as it was.
    window.addEventListener('pageshow', ({ persisted }) => {
        if (persisted) controller.giveUp();
    });
    controller.start(config.token);
    root.replaceChildren();
    render(<App controller={controller} theme={theme} />, root);
    tellHost({ type: 'ready' });
}

void boot();
